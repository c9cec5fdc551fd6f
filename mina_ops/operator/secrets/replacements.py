"""Plans a rotation: makes the new secrets, and checks that they could be put in place."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from datetime import datetime

from mina_ops.errors import ConfigurationError
from mina_ops.operator.config.incident import SecretOptions
from mina_ops.operator.database.connection.connect import Database, parse
from mina_ops.operator.secrets import database_role as secret_database
from mina_ops.operator.secrets import redis_user as secret_redis
from mina_ops.operator.secrets import values as secret_values
from mina_ops.operator.secrets.journal import Journal, Stage

KINDS = ("secret_key", "tokens", "database", "redis")


def key_of(options: SecretOptions, kind: str) -> str:
    """The variable that holds a kind of secret."""
    keys = {"secret_key": options.secret_key, "tokens": options.tokens_key}
    keys |= {"database": options.database_key, "redis": options.redis_key}
    return keys[kind]


def planned(
    options: SecretOptions,
    admin: Database | None,
    kinds: list[str],
    present: Mapping[str, str],
    now: datetime,
) -> Journal:
    """The journal of a rotation that has not begun.

    Raises:
        ConfigurationError: a secret is of a kind that cannot be rotated.
        DatabaseUnreachable: the admin's role cannot log in.
        AccessDenied: it lacks a right that a later stage needs.
    """
    new: dict[str, str] = {}
    journal = Journal(kinds, Stage.PLANNED, dict(present), new)
    if "secret_key" in kinds:
        new[options.secret_key] = secrets.token_hex(32)
    if "tokens" in kinds:
        names = secret_values.names_by_digest(present[options.tokens_key]).values()
        journal.tokens = {name: "mina_" + secrets.token_urlsafe(32) for name in names}
    if "database" in kinds and admin is not None:
        _plan_role(options, admin, present, journal, now)
    if "redis" in kinds:
        secret_redis.require_single(present[options.redis_key], options.redis_key)
        if not secret_redis.password_of(present[options.redis_key]):
            raise ConfigurationError(f"{options.redis_key} has no password to rotate.")
        new[options.redis_key] = secret_redis.with_password(
            present[options.redis_key], secrets.token_urlsafe(32)
        )
    return journal


def _plan_role(
    options: SecretOptions,
    admin: Database,
    present: Mapping[str, str],
    journal: Journal,
    now: datetime,
) -> None:
    url = present[options.database_key]
    old = parse(url, options.database_key)
    if old.kind != "postgresql":
        raise ConfigurationError("SQLite has no roles; leave the kind `database` out.")
    secret_database.require_rights(admin, old.url.username or "")
    with admin.connect() as connection:
        base = secret_database.base_role(connection, old.url.username or "")
    journal.role = f"{base[:40]}_{now:%Y%m%d%H%M}_{secrets.token_hex(2)}"
    journal.new[options.database_key] = secret_values.with_login(
        url, journal.role, secrets.token_urlsafe(32)
    )


def admin_database(
    options: SecretOptions, environ: Mapping[str, str] | None = None
) -> Database | None:
    """The database of the admin's role, or None where its variable is not set."""
    environ = os.environ if environ is None else environ
    url = environ.get(options.admin_env, "").strip()
    return parse(url, options.admin_env) if url else None
