"""The text of a first mina-ops.toml, with the comments that its reader needs."""

from __future__ import annotations

import json

from mina_ops.operator.setup.wishes import Wishes


def text(wishes: Wishes) -> str:
    """The whole file."""
    return "\n".join(
        (
            "# What mina-ops knows of this site. `mina-ops config keys` tells every key,",
            "# `mina-ops doctor` whether what stands here is true.",
            "",
            "[public]",
            "# The address that users see; doctor asks it and looks at its certificate.",
            f"url = {_quoted(wishes.public_url)}",
            "",
            "[token]",
            "# The operator's bearer token; the variable MINA_OPS_TOKEN wins over it.",
            f'file = "{wishes.product}.token"',
            "",
            _colour(wishes, "blue"),
            "",
            _colour(wishes, "green"),
            "",
            "[traffic]",
            f"driver = {_quoted(wishes.balancer)}",
            "",
            _balancer(wishes),
            "",
            _release(wishes),
            "",
            "# Whom to tell: `mina-ops notify` and docs/cli.md. Without it nobody is called.",
            "# [notify.channels.chat]",
            '# url_env = "CHAT_WEBHOOK"',
            "",
        )
    )


def _quoted(value: object) -> str:
    # JSON's strings are TOML's, as far as these answers go.
    return json.dumps(str(value), ensure_ascii=False)


def _colour(wishes: Wishes, colour: str) -> str:
    ports = wishes.ports(colour)
    instances = ", ".join(f'"{i}" = "127.0.0.1:{port}"' for i, port in enumerate(ports))
    return "\n".join(
        (
            f"[colours.{colour}]",
            f'url = "http://127.0.0.1:{ports[0]}"',
            "# Each process, by the name that its MINA_OPS_INSTANCE gives it.",
            f"instances = {{ {instances} }}",
        )
    )


def _balancer(wishes: Wishes) -> str:
    lines = [f"[traffic.{wishes.balancer}]", f"state = {_quoted(wishes.state)}"]
    lines.append(f'listen = "{wishes.listen}"')
    if wishes.certificate is not None:
        lines.append(f"certificate = {_quoted(wishes.certificate)}")
    if wishes.balancer != "haproxy" and wishes.certificate_key is not None:
        lines.append(f"certificate_key = {_quoted(wishes.certificate_key)}")
    if wishes.balancer == "nginx":
        lines.append(f"server_name = {_quoted(wishes.host)}")
    return "\n".join(lines)


def _release(wishes: Wishes) -> str:
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
    if wishes.processes == "systemd":
        env = wishes.folder / "{to}.env"
        unit = f"{wishes.product}-{{to}}.target"
        write_version = f"sed -i s/^APP_VERSION=.*/APP_VERSION={{version}}/ {env}"
        start = (write_version, f"systemctl restart {unit}")
        lines.append(f"start = [{', '.join(_quoted(line) for line in start)}]")
    else:
        lines.append('# start = ["your-command --colour {to} --version {version}"]')
    lines.append('# migrate = ["flask db upgrade"]')
    return "\n".join(lines)
