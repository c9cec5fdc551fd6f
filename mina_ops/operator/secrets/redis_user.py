"""A second password for the same Redis user, and the end of the first one.

Redis 6 and newer keep several passwords for a user. A change lives in the server's memory until
it is saved (`ACL SAVE` where there is an ACL file, else `CONFIG REWRITE`): unsaved, a restart in
the middle of a rotation would forget the password that the app uses by then.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import redis
from redis.exceptions import AuthenticationError, NoPermissionError

from mina_ops.errors import AccessDenied, ConfigurationError, OperatorError
from mina_ops.waiting import wait_until

_SECONDS = 5.0
_RESTART_SECONDS = 20.0
_POLL_SECONDS = 0.2

UNKEPT = "Redis has no ACL file or configuration to keep the new password in; a restart loses it."


def require_single(url: str, key: str) -> None:
    """Refuse what is not one server: each node of a cluster has users of its own.

    Raises:
        ConfigurationError: the URL leads to a cluster or to Sentinel; names the variable.
    """
    if urlsplit(url).scheme not in ("redis", "rediss", "unix"):
        raise ConfigurationError(
            f"{key} leads to a Redis Cluster or Sentinel. Each of its nodes has users of its own, "
            "so rotate that password with ACL SETUSER on every node; leave the kind `redis` out."
        )


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


def has_file(url: str) -> bool:
    """Whether the server has a file in which a password outlives its restart.

    Raises:
        OperatorError: Redis cannot be reached; AccessDenied: the login is refused.
    """
    with _told(url) as client:
        if client.info("server").get("config_file"):
            return True
        try:
            return bool(client.config_get("aclfile").get("aclfile"))
        except redis.ResponseError:
            return False


def add(urls: tuple[str, ...], password: str) -> bool:
    """Let the user of the URLs log in with one more password. Idempotent.

    Args:
        urls: the same user with different passwords; the first that Redis takes is used.

    Returns:
        Whether it is saved, so that it outlives a restart.

    Raises:
        OperatorError: Redis cannot be reached or refuses.
        AccessDenied: no URL lets in, or the user may not change itself (ACL).
    """
    url = _first_that_works(urls)
    with _told(url) as client:
        client.execute_command("ACL", "SETUSER", _user(url), f">{password}")
        return _save(client)


def remove(url: str, password: str) -> bool:
    """End a password of the URL's user. Idempotent; returns and raises as `add` does."""
    url = _first_that_works((url,))
    with _told(url) as client:
        try:
            client.execute_command("ACL", "SETUSER", _user(url), f"<{password}")
        except redis.ResponseError as exc:
            if "not exist" not in str(exc) and "no such password" not in str(exc).lower():
                raise
        if _user(url) == "default":
            # An older line `requirepass` in the configuration would tell the old password.
            with_rights = password_of(url) or ""
            _try(client, "CONFIG", "SET", "requirepass", with_rights)
        return _save(client)


def works(url: str) -> bool:
    """Whether Redis lets the URL in."""
    try:
        with _client(url) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False


def _first_that_works(urls: tuple[str, ...]) -> str:
    """Waits for a server that restarts just now."""
    url = wait_until(lambda: _working(urls), _RESTART_SECONDS, pause=_POLL_SECONDS)
    if url is None:
        raise OperatorError(f"Redis did not answer for {_RESTART_SECONDS:g} s.")
    return url


def _working(urls: tuple[str, ...]) -> str | None:
    """The first address that lets in; None while the server is away."""
    is_away = False
    for url in urls:
        try:
            with _client(url) as client:
                client.ping()
            return url
        except (AuthenticationError, NoPermissionError):
            continue
        except redis.RedisError:
            is_away = True
    if not is_away:
        raise AccessDenied("Redis takes neither the old password nor the new one.")
    return None


def _save(client: Any) -> bool:
    return _try(client, "ACL", "SAVE") or _try(client, "CONFIG", "REWRITE")


def _try(client: Any, *command: str) -> bool:
    try:
        client.execute_command(*command)
    except redis.ResponseError:
        return False
    return True


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
