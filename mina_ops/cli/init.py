"""`mina-ops init`: the files of a first blue/green site."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import click

from mina_ops.cli import output

_QUESTIONS = (
    ("app", "What does gunicorn import?"),
    ("public", "Which address do users see?"),
    ("balancer", "Load balancer (nginx, haproxy, envoy)"),
    ("instances", "How many processes for each colour?"),
    ("processes", "How are they started (systemd, procfile)?"),
    ("redis", "Which Redis do both colours share?"),
)


@click.command(name="init")
@click.option("--app", default="app:app", show_default=True, help="What gunicorn imports.")
@click.option("--product", default="mina", show_default=True, help="Names units and files.")
@click.option(
    "--public", default="http://127.0.0.1:8080", show_default=True, help="What users see."
)
@click.option(
    "--balancer",
    type=click.Choice(["nginx", "haproxy", "envoy"]),
    default="nginx",
    show_default=True,
    help="The load balancer.",
)
@click.option(
    "--processes",
    type=click.Choice(["systemd", "procfile"]),
    default="systemd",
    show_default=True,
    help="What starts the app's processes.",
)
@click.option(
    "--worker",
    type=click.Choice(["gthread", "gevent"]),
    default="gthread",
    show_default=True,
    help="gunicorn's kind of worker.",
)
@click.option("--instances", type=click.IntRange(1, 64), default=2, help="Of each colour.")
@click.option(
    "--blue-port", type=click.IntRange(1, 65_535), default=5001, help="Blue's first; others follow."
)
@click.option("--green-port", type=click.IntRange(1, 65_535), default=6001, help="Green's first.")
@click.option("--redis", default="redis://127.0.0.1:6379/0", help="What both colours share.")
@click.option("--token-name", default="ops", help="What the audit log calls you.")
@click.option("--state", default="/var/lib/mina-ops", help="Folder of the balancer's files.")
@click.option("--certificate", type=click.Path(path_type=Path), help="For https.")
@click.option("--certificate-key", type=click.Path(path_type=Path), help="For https, not HAProxy.")
@click.option("--scripts", is_flag=True, help="Also the playbook's ./scripts.")
@click.option(
    "--folder",
    default=".",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where the files go; default: here.",
)
@click.option("--yes", "-y", is_flag=True, help="Ask nothing; take the options and defaults.")
@output.dry_run_option
@output.json_option
@click.pass_context
def command(context: click.Context, /, yes: bool, dry_run: bool, **given: Any) -> None:
    """Write mina-ops.toml, a token, and units or a Procfile for both colours.

    On a terminal it asks what was not given. It overwrites nothing. What is left to do by hand is
    printed: the lines for the app, the line for the load balancer, and what to type then.
    """
    from mina_ops.operator.setup import layout

    if not yes and not output.is_json() and sys.stdin.isatty():
        _ask(context, given)
    options = _options(given)
    planned = layout.plan(options, gunicorn=_gunicorn(), directory=Path.cwd())
    if not dry_run:
        layout.write(planned)
    value = {
        "dry_run": dry_run,
        "files": [str(file.path) for file in planned],
        "token_file": str(options.folder / f"{options.product}.token"),
        "app_lines": list(layout.APP_LINES),
        "include": layout.include_line(options),
        "next": layout.next_steps(options),
    }
    output.data(value, _text(value))


def _ask(context: click.Context, given: dict[str, Any]) -> None:
    from click.core import ParameterSource

    declared = {option.name: option for option in context.command.params}
    for name, question in _QUESTIONS:
        if context.get_parameter_source(name) is ParameterSource.DEFAULT:
            kind = declared[name].type
            given[name] = click.prompt(question, default=given[name], type=kind, err=True)


def _options(given: dict[str, Any]) -> Any:
    from mina_ops.operator.setup.options import SetupOptions

    named = dict(given)
    named["public_url"] = named.pop("public")
    named["redis_url"] = named.pop("redis")
    named["state"] = Path(named["state"]).expanduser().absolute()
    named["folder"] = named["folder"].expanduser().absolute()
    return SetupOptions(**named)


def _gunicorn() -> str:
    beside = Path(sys.executable).with_name("gunicorn")
    return str(beside) if beside.exists() else shutil.which("gunicorn") or "/usr/bin/gunicorn"


def _text(value: dict[str, Any]) -> str:
    wrote = "would write" if value["dry_run"] else "wrote"
    lines = [f"{wrote} {path}" for path in value["files"]]
    lines += ["", "Into the app:", *(f"    {line}".rstrip() for line in value["app_lines"])]
    lines += ["", "Into the load balancer:", f"    {value['include']}"]
    lines += ["", "Then:", *(f"    {line}" for line in value["next"])]
    return "\n".join(lines)
