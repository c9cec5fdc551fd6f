"""`mina-ops token`: bearer tokens for the admin endpoints."""

from __future__ import annotations

import re

import click

from mina_ops.cli import output

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,63}")


@click.group(name="token")
def command() -> None:
    """Bearer tokens for the admin endpoints."""


@command.command()
@click.argument("name")
@output.json_option
def new(name: str, as_json: bool) -> None:
    """Make a token for NAME: it is printed this once; the app is given its digest.

    NAME is what the audit log will say, as ci or ana.
    """
    if not _NAME.fullmatch(name):
        raise click.UsageError("NAME is 1 to 64 letters, digits, '_', '.', '@' and '-'.")
    from mina_ops.operator.setup.tokens import new_token

    token, digest = new_token()
    setting = f"MINA_OPS_ADMIN_TOKENS={name}:{digest}"
    text = (
        f"token:   {token}\n"
        f"digest:  {digest}\n\n"
        "Keep the token: it is stored nowhere. Give the app its digest (several with commas):\n"
        f"  {setting}"
    )
    output.data({"name": name, "token": token, "digest": digest}, text, as_json=as_json)
