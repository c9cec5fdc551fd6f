"""The demo's users, and the command that makes its database ready."""

from __future__ import annotations

import secrets
from collections.abc import Mapping

import click
from flask import current_app
from flask.cli import ScriptInfo, with_appcontext
from sqlalchemy import select

from mina_ops.demo.auth import SMOKE_USER
from mina_ops.demo.models import User, db


def seed(passwords: Mapping[str, str]) -> None:
    """Make sure that the users exist, each with this password; idempotent.

    The user `admin` gets the role `admin`, others `user`. The user `smoke`, as which the test
    token acts, is always made; without a password of its own nobody can log in as it.
    """
    for username, password in {SMOKE_USER: secrets.token_urlsafe(), **passwords}.items():
        user = db.session.scalar(select(User).filter_by(username=username))
        if user is None:
            user = User(username=username, role="admin" if username == "admin" else "user")
            db.session.add(user)
        user.set_password(password)
    db.session.commit()


@click.command("prepare")
@click.option("--admin-password", envvar="DEMO_ADMIN_PASSWORD", required=True)
@click.option("--user-password", envvar="DEMO_USER_PASSWORD", required=True)
@with_appcontext
def prepare_command(admin_password: str, user_password: str) -> None:
    """Run `flask db upgrade` and `flask mina-ops upgrade`; give the users these passwords."""
    app = current_app._get_current_object()  # type: ignore[attr-defined]
    for command in (["db", "upgrade"], ["mina-ops", "upgrade"]):
        script = ScriptInfo(create_app=lambda: app)
        app.cli.main(command, prog_name="flask", standalone_mode=False, obj=script)
    seed({"admin": admin_password, "mina": user_password})
    click.echo("Users: admin, mina, smoke.")
