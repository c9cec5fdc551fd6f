"""A second password for the same Redis user, and the end of the first one.

Redis 6 and newer keep several passwords for a user. What is changed is written to the server's
ACL file or configuration where it has one; otherwise the caller is told.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import redis
from redis.exceptions import AuthenticationError, NoPermissionError

from mina_ops.errors import AccessDenied, OperatorError

_SECONDS = 5.0


def with_password(url: str, password: str) -> str:
    """The URL with another password."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    user = quote(parts.username or "", safe="")
    return urlunsplit(parts._replace(netloc=f"{user}:{quote(password, safe='')}@{host}"))


def password_of(url: str) -> str | None:
    """The password in a URL, unquoted."""
    with _client(url) as client:
        found = client.connection_pool.connection_kwargs.get("password")
    return str(found) if found else None


def add(url: str, password: str) -> None:
    """Let the user of the URL log in with one more password. Idempotent.

    Raises:
        OperatorError: Redis cannot be reached or refuses.
        AccessDenied: the user may not change itself (ACL).
    """
    with _told(url) as client:
        client.execute_command("ACL", "SETUSER", _user(url), f">{password}")


def remove(url: str, password: str) -> str | None:
    """End a password of the URL's user, keep it so over a restart. Idempotent.

    Returns a remark if the server has no file to keep it in.
    """
    with _told(url) as client:
        try:
            client.execute_command("ACL", "SETUSER", _user(url), f"<{password}")
        except redis.ResponseError as exc:
            if "not exist" not in str(exc) and "no such password" not in str(exc).lower():
                raise
        return _keep(client, url)


def works(url: str) -> bool:
    """Whether Redis lets the URL in."""
    try:
        with _client(url) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False


def _keep(client: Any, url: str) -> str | None:
    for command in ("ACL SAVE", "CONFIG REWRITE"):
        try:
            if command == "CONFIG REWRITE" and _user(url) == "default":
                client.config_set("requirepass", password_of(url) or "")
            client.execute_command(*command.split())
        except redis.RedisError:
            continue
        return None
    return "Redis has no ACL file or configuration to keep the new password in; a restart loses it."


def _user(url: str) -> str:
    return urlsplit(url).username or "default"


def _client(url: str) -> redis.Redis:
    client: redis.Redis = redis.Redis.from_url(
        url, socket_timeout=_SECONDS, socket_connect_timeout=_SECONDS
    )
    return client


@contextmanager
def _told(url: str) -> Iterator[Any]:
    try:
        with _client(url) as client:
            yield client
    except (AuthenticationError, NoPermissionError) as exc:
        raise AccessDenied(
            "The Redis user may not log in, or not change its own password (it needs +acl)."
        ) from exc
    except redis.RedisError as exc:
        raise OperatorError(f"Redis did not do as told ({type(exc).__name__}).") from exc
