"""`mina-ops secrets`: rotate the app's key, tokens, database password and Redis password."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from mina_ops.cli import output
from mina_ops.cli.session import Session
from mina_ops.operator.system.signals import unwinding

if TYPE_CHECKING:
    from mina_ops.operator.secrets.rotation import Rotation

_KINDS = click.Choice(["secret_key", "tokens", "database", "redis"])


@click.group(name="secrets")
def command() -> None:
    """Secrets of the app: Flask's key, admin tokens, database role, Redis password."""


@command.command()
@click.option("--all", "everything", is_flag=True, help="Every secret that the file has.")
@click.option("--only", multiple=True, type=_KINDS, help="This kind; repeatable.")
@click.option("--force", is_flag=True, help="Do not ask; cut old database sessions.")
@click.option("--end-sessions", is_flag=True, help="The old key is void: everyone logs in again.")
@click.option("--resume", is_flag=True, help="Go on with a rotation that was interrupted.")
@click.option("--undo", is_flag=True, help="Take an interrupted rotation back.")
@output.dry_run_option
@output.json_option
@click.pass_obj
def rotate(
    session: Session,
    everything: bool,
    only: tuple[str, ...],
    force: bool,
    end_sessions: bool,
    resume: bool,
    undo: bool,
    dry_run: bool,
) -> None:
    """Replace secrets in stages, each verified, without a failed request or a lost session.

    Until the old ones are revoked, a failure takes everything back by itself. Nothing secret is
    printed: new tokens are in the file NAME.tokens beside the file with the secrets.
    """
    from mina_ops.operator.config import incident as incident_options
    from mina_ops.operator.secrets import replacements
    from mina_ops.operator.secrets import rotation as secrets
    from mina_ops.operator.secrets.reload import Colours

    if sum((everything, bool(only), resume, undo)) != 1:
        raise click.UsageError("Give one of --all, --only KIND, --resume and --undo.")
    settings = session.settings
    chosen = incident_options.read(settings.section("incident")).secrets
    rotation = secrets.Rotation(
        chosen,
        Colours(settings, chosen.reload, settle_seconds=chosen.settle_seconds),
        admin=replacements.admin_database(chosen),
        token_file=settings.token_file,
        say=output.say,
    )
    kinds = None if resume or undo else rotation.possible() if everything else list(only)
    if dry_run:
        _say_what_would_be(rotation, kinds, undo=undo)
        return
    with unwinding(), rotation.alone():
        if undo:
            remarks = rotation.undo()
            text = "\n".join(["Everything is as it was.", *remarks])
            output.data({"undone": True, "remarks": remarks}, text)
            return
        chosen_kinds = rotation.begun() if kinds is None else kinds
        if not force:
            click.confirm(f"Rotate {', '.join(chosen_kinds)} now?", abort=True, err=True)
        if not resume:
            rotation.begin(chosen_kinds, datetime.now(UTC), end_sessions=end_sessions, force=force)
        remarks = rotation.run(force=force)
    _say_what_was_done(rotation, chosen_kinds, remarks)


def _say_what_would_be(rotation: Rotation, kinds: list[str] | None, *, undo: bool) -> None:
    chosen = rotation.begun() if kinds is None else kinds
    value = {"dry_run": True, "kinds": chosen, "interrupted": rotation.interrupted}
    would = "take back the rotation of" if undo else "rotate"
    text = f"Would {would} {', '.join(chosen) or 'nothing new'} of {rotation.file}."
    output.data(value, text)


def _say_what_was_done(rotation: Rotation, kinds: list[str], remarks: list[str]) -> None:
    tokens = str(rotation.tokens_file) if "tokens" in kinds else None
    value = {"rotated": kinds, "tokens_file": tokens, "remarks": remarks}
    lines = [f"Rotated: {', '.join(kinds)}."]
    lines += [f"New admin tokens: {tokens}. Hand them out and remove the file."] if tokens else []
    output.data(value, "\n".join([*lines, *remarks]))
