"""Redis clients that never make a caller wait: short timeouts, no retries."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, NoReturn
from urllib.parse import parse_qs, parse_qsl, unquote, urlencode, urlsplit

import redis
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode, RedisCluster
from redis.retry import Retry
from redis.sentinel import Sentinel

from mina_ops.app.state.pool import PatientPool, PatientSentinelPool
from mina_ops.errors import ConfigurationError

_OURS = {"valkey": "redis", "valkeys": "rediss"}
_KEPT = ("ssl_", "db", "password", "username", "client_name", "sentinel_password")
"""Options of a URL that say where and as whom. The rest is for the host's own client: its time
limits, its retries and `decode_responses` would be wrong for ours."""
_SCHEMES = "redis://, rediss://, unix://, redis+sentinel:// or redis[s]+cluster://"


def connect(url: str, *, timeout_seconds: float) -> Any:
    """A client for a Redis, Sentinel or Cluster URL; connects at its first command.

    `redis+sentinel://[user:password@]host:26379,host2:26379/service/db` asks the sentinels for
    the master of `service`; `redis+cluster://host:port,host2:port` asks the first node that
    answers for all others, and `rediss+cluster://` does so over TLS.

    Raises:
        ConfigurationError: the URL's scheme is unknown or a part is missing.
    """
    limits = {
        "socket_timeout": timeout_seconds,
        "socket_connect_timeout": timeout_seconds,
        "retry": Retry(NoBackoff(), 0),  # redis-py 8 blocks 20 s and more with its own
        "protocol": 2,
    }
    url = _plain(url)
    scheme = urlsplit(url).scheme
    if scheme in ("redis", "rediss", "unix"):
        return redis.Redis.from_pool(PatientPool.from_url(url, **limits))
    if scheme == "redis+sentinel":
        return _through_sentinel(url, limits)
    if scheme in ("redis+cluster", "rediss+cluster"):
        return LateCluster(lambda: _cluster(url, limits))
    raise ConfigurationError(f"REDIS_URL begins with {scheme or 'nothing'!r}; use {_SCHEMES}.")


def unusable(reason: str) -> Any:
    """A client whose every command raises `redis.ConnectionError` with this reason."""

    def refuse() -> NoReturn:
        raise redis.ConnectionError(reason)

    return LateCluster(refuse)


def _plain(url: str) -> str:
    """The URL with only those options that say where to connect and as whom."""
    parts = urlsplit(url)
    options = [(k, v) for k, v in parse_qsl(parts.query) if k.startswith(_KEPT)]
    scheme = _OURS.get(parts.scheme, parts.scheme)
    return parts._replace(scheme=scheme, query=urlencode(options)).geturl()


class LateCluster:
    """A client that is made at its first command; if that fails, at the next one.

    redis-py's cluster client asks its nodes while it is constructed, but a host must be able to
    start while they are away.
    """

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._client: Any = None
        self._making = threading.Lock()

    def __getattr__(self, name: str) -> Any:
        if self._client is None:
            with self._making:
                self._client = self._client or self._make()
        return getattr(self._client, name)

    def register_script(self, script: str) -> Callable[..., Any]:
        """A function that runs the script; the client is made at its first call."""
        return lambda **arguments: self.__getattr__("register_script")(script)(**arguments)

    def close(self) -> None:
        """Close all connections, if there are any; what is asked later is a connection's error."""
        # redis-py's own answers with an AttributeError once it is closed.
        client, self._client, self._make = self._client, None, _refuse_closed
        if client is not None:
            client.close()


def _refuse_closed() -> NoReturn:
    raise redis.ConnectionError("the client was closed")


def _cluster(url: str, limits: dict[str, Any]) -> Any:
    parts = urlsplit(url.replace("+cluster", "", 1))
    login, at, addresses = parts.netloc.rpartition("@")
    first, *others = addresses.split(",")
    known = [ClusterNode(*_address(a, 6379)) for a in others]  # type: ignore[no-untyped-call]
    one = parts._replace(netloc=f"{login}{at}{first}").geturl()
    return RedisCluster.from_url(
        one, startup_nodes=known, connection_pool_class=PatientPool, **limits
    )


def _address(text: str, default_port: int) -> tuple[str, int]:
    host, _, port = text.rpartition(":") if ":" in text else (text, "", "")
    return host, int(port or default_port)


def _through_sentinel(url: str, limits: dict[str, Any]) -> Any:
    parts = urlsplit(url)
    login, _, addresses = parts.netloc.rpartition("@")
    service, _, db = parts.path.strip("/").partition("/")
    if not service:
        raise ConfigurationError(
            "REDIS_URL: name the sentinel service: redis+sentinel://HOSTS/NAME."
        )
    sentinels = [_address(address, 26379) for address in addresses.split(",")]
    user, _, password = login.partition(":")
    options = {**limits, "db": int(db or 0)}
    if login:
        options |= {"username": unquote(user) or None, "password": unquote(password)}
    secret = parse_qs(parts.query).get("sentinel_password", [None])[0]
    asking = {**limits, "password": secret} if secret else limits
    watch = Sentinel(sentinels, sentinel_kwargs=asking, **limits)  # type: ignore[no-untyped-call]
    return watch.master_for(  # type: ignore[no-untyped-call]
        service, connection_pool_class=PatientSentinelPool, **options
    )
