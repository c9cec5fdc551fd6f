"""`mina-ops token`: bearer tokens for the admin endpoints."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from mina_ops.cli import flags_view, output
from mina_ops.cli.session import Session

if TYPE_CHECKING:
    from mina_ops.operator.api.tokens import TokensClient

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,63}")
_SETTINGS = {
    "admin": "MINA_OPS_ADMIN_TOKENS",
    "read": "MINA_OPS_READ_TOKENS",
    "drain": "MINA_OPS_DRAIN_TOKENS",
    "flags": "MINA_OPS_FLAGS_TOKENS",
}
_SCOPES = click.Choice(list(_SETTINGS))


@click.group(name="token")
def command() -> None:
    """Bearer tokens for the admin endpoints.

    \b
      mina-ops token new ana                       one for the app's settings; nothing need run
      mina-ops token create ci --scope drain       one that the running app keeps, for 90 days
      mina-ops token list                          who may come, until when, last used when
      mina-ops token rotate ci --overlap-hours 24  a new one; the old one holds for a day more
      mina-ops token revoke ci                     end it at once
    """


@command.command()
@click.argument("name")
@click.option("--scope", type=_SCOPES, default="admin", show_default=True, help="What it may do.")
@output.json_option
def new(name: str, scope: str) -> None:
    """Make a token for the app's settings: it is printed this once; the app is given its digest.

    NAME is what the audit log will say, as ci or ana.
    """
    _refuse_odd(name)
    from mina_ops.operator.setup.tokens import new_token

    token, digest = new_token()
    setting = f"{_SETTINGS[scope]}={name}:{digest}"
    text = (
        f"token:   {token}\n"
        f"digest:  {digest}\n\n"
        "Keep the token: it is stored nowhere. Give the app its digest (several with commas):\n"
        f"  {setting}"
    )
    output.data({"name": name, "token": token, "digest": digest}, text)


@command.command()
@click.argument("name")
@click.option("--scope", "scopes", type=_SCOPES, multiple=True, required=True,
              help="What it may do; may be given several times.")  # fmt: skip
@click.option(
    "--days",
    type=click.FloatRange(0.001, 3660),
    default=90,
    show_default=True,
    help="It ends after so many days.",
)
@click.option("--no-expiry", is_flag=True, help="It holds until it is revoked.")
@output.colour_option
@output.json_option
@click.pass_obj
def create(
    session: Session,
    *,
    name: str,
    scopes: tuple[str, ...],
    days: float,
    no_expiry: bool,
    colour: str | None,
) -> None:
    """Make a token that the running app keeps. Needs an admin's token."""
    _refuse_odd(name)
    with _tokens(session, colour) as tokens:
        made = tokens.create(name, scopes, days=None if no_expiry else days)
    output.data(made, _made(made))


@command.command(name="list")
@output.colour_option
@output.json_option
@click.pass_obj
def list_(session: Session, colour: str | None) -> None:
    """All tokens, without their secrets. Needs an admin's token, or one that may read."""
    with _tokens(session, colour) as tokens:
        found = tokens.all()
    rows = [
        (
            str(one["id"]),
            str(one["name"]),
            "+".join(one["scopes"]),
            str(one["state"]),
            _when(one["revoked_at"] or one["expires_at"], "never"),
            _when(one["last_used_at"], "-"),
            "settings" if one["fixed"] else str(one["created_by"]),
        )
        for one in found
    ]
    header = ("ID", "NAME", "SCOPE", "STATE", "ENDS", "LAST USED", "MADE BY")
    output.data({"tokens": found}, output.table(header, rows))


@command.command()
@click.argument("which", metavar="ID|NAME")
@click.option("--overlap-hours", type=click.FloatRange(0, 720), default=24, show_default=True,
              help="How long the old one holds beside the new one.")  # fmt: skip
@output.colour_option
@output.json_option
@click.pass_obj
def rotate(session: Session, which: str, overlap_hours: float, colour: str | None) -> None:
    """Make a token in the place of another; both hold for a while. Needs an admin's token."""
    with _tokens(session, colour) as tokens:
        made = tokens.rotate(tokens.the_one(which)["id"], overlap_hours=overlap_hours)
    text = f"{_made(made)}\nThe old one holds for {overlap_hours:g} hours more."
    output.data(made, text)


@command.command()
@click.argument("which", metavar="ID|NAME")
@output.colour_option
@output.json_option
@click.pass_obj
def revoke(session: Session, which: str, colour: str | None) -> None:
    """End a token, and every console session made of it, at once. Needs an admin's token."""
    with _tokens(session, colour) as tokens:
        ended = tokens.revoke(tokens.the_one(which)["id"])
    output.data(ended, f"revoked: {ended['name']} ({ended['id']})")


@contextmanager
def _tokens(session: Session, colour: str | None) -> Iterator[TokensClient]:
    from mina_ops.operator.api.tokens import TokensClient

    with session.flags(colour) as client:
        yield TokensClient(client.app)


def _refuse_odd(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise click.UsageError("NAME is 1 to 64 letters, digits, '_', '.', '@' and '-'.")


def _made(answer: Mapping[str, Any]) -> str:
    made = answer["made"]
    return (
        f"token:   {answer['token']}\n"
        f"id:      {made['id']}\n"
        f"may:     {' and '.join(made['scopes'])}\n"
        f"ends:    {_when(made['expires_at'], 'never')}\n\n"
        "Keep the token: it is stored nowhere."
    )


def _when(at: float | None, otherwise: str) -> str:
    return otherwise if at is None else flags_view.when(at)
