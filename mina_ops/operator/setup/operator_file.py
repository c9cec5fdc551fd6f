"""Writes the text of a first mina-ops.toml, with comments for whoever reads it."""

from __future__ import annotations

import json

from mina_ops.operator.setup.options import SetupOptions


def text(options: SetupOptions) -> str:
    """The whole file."""
    return "\n".join(
        (
            "# What mina-ops knows of this site. `mina-ops config keys` tells every key,",
            "# `mina-ops doctor` whether what stands here is true.",
            "",
            "[public]",
            "# The address that users see; doctor asks it and looks at its certificate.",
            f"url = {_quoted(options.public_url)}",
            "",
            "[token]",
            "# The operator's bearer token; the variable MINA_OPS_TOKEN wins over it.",
            f'file = "{options.product}.token"',
            "",
            _colour(options, "blue"),
            "",
            _colour(options, "green"),
            "",
            "[traffic]",
            f"driver = {_quoted(options.balancer)}",
            "",
            _balancer(options),
            "",
            _release(options),
            "",
            "# Whom to tell: `mina-ops notify` and docs/cli.md. Without it nobody is called.",
            "# [notify.channels.chat]",
            '# url_env = "CHAT_WEBHOOK"',
            "",
        )
    )


def _quoted(value: object) -> str:
    # A JSON string is a TOML string as well, since the options hold no control characters.
    return json.dumps(str(value), ensure_ascii=False)


def _colour(options: SetupOptions, colour: str) -> str:
    ports = options.ports(colour)
    instances = ", ".join(f'"{i}" = "127.0.0.1:{port}"' for i, port in enumerate(ports))
    return "\n".join(
        (
            f"[colours.{colour}]",
            f'url = "http://127.0.0.1:{ports[0]}"',
            "# Each process, by the name that its MINA_OPS_INSTANCE gives it.",
            f"instances = {{ {instances} }}",
        )
    )


def _balancer(options: SetupOptions) -> str:
    lines = [f"[traffic.{options.balancer}]", f"state = {_quoted(options.state)}"]
    lines.append(f'listen = "{options.listen}"')
    if options.certificate is not None:
        lines.append(f"certificate = {_quoted(options.certificate)}")
    if options.balancer != "haproxy" and options.certificate_key is not None:
        lines.append(f"certificate_key = {_quoted(options.certificate_key)}")
    if options.balancer == "nginx":
        lines.append(f"server_name = {_quoted(options.host)}")
    return "\n".join(lines)


def _release(options: SetupOptions) -> str:
    lines = [
        "[release]",
        "# The new colour's shares in percent, and the least seconds at each.",
        "steps = [10, 25, 50, 100]",
        "step_seconds = 600",
        "",
        "[release.hooks]",
        "# Commands; {version}, {from} and {to} are filled in. `release start VERSION --dry-run`",
        "# shows all that would be run and asked.",
    ]
    if options.processes == "systemd":
        env = options.folder / "{to}.env"
        unit = f"{options.product}-{{to}}.target"
        write_version = f"sed -i s/^APP_VERSION=.*/APP_VERSION={{version}}/ {env}"
        start = (write_version, f"systemctl restart {unit}")
        lines.append(f"start = [{', '.join(_quoted(line) for line in start)}]")
    else:
        lines.append('# start = ["your-command --colour {to} --version {version}"]')
    lines.append('# migrate = ["flask db upgrade"]')
    return "\n".join(lines)
