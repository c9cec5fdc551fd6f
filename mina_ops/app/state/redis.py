"""The shared store on Redis 6.2 or newer."""

from __future__ import annotations

import dataclasses
import functools
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, ParamSpec, TypeVar

import redis
from redis.exceptions import RedisClusterException

from mina_ops.app.state import keys, redis_lines, redis_rosters, scripts
from mina_ops.app.state.base import Change, Line, LogLine, Message, Reading, Register, Subscription
from mina_ops.app.state.connect import LateCluster, connect
from mina_ops.app.state.cost import count
from mina_ops.app.state.eviction import evicting_policy
from mina_ops.app.state.hints import Hints
from mina_ops.app.state.redis_rosters import Also
from mina_ops.app.state.scripts import EPOCH, VERSION
from mina_ops.errors import StateUnavailable

_P = ParamSpec("_P")
_T = TypeVar("_T")

# A host's name that cannot be encoded is a UnicodeError, a wrong option a TypeError.
_FAULTS = (redis.RedisError, RedisClusterException, OSError, UnicodeError, TypeError)
DEFAULT_PRODUCT = "mina"
_OWN_PREFIX = f"{DEFAULT_PRODUCT}:"


def _guarded(call: Callable[_P, _T]) -> Callable[_P, _T]:
    """Turn what redis-py raises into `StateUnavailable`, which holds no address."""

    @functools.wraps(call)
    def wrapper(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        try:
            return call(*args, **kwargs)
        except _FAULTS as exc:
            kind = type(exc).__name__
            raise StateUnavailable(f"Redis did not serve us ({kind}). Retry in a second.") from exc

    return wrapper


class RedisStore:
    """A `Store` on Redis; every call ends within its client's timeout.

    Args:
        client: a redis-py client.
        product: replaces `mina` at the beginning of every key and channel, so that several
            products, or staging and production, can share one Redis.
    """

    name = "redis"
    shared = True

    def __init__(self, client: Any, product: str = DEFAULT_PRODUCT) -> None:
        self._client = client
        self._prefix = f"{product}:"
        self.cost = count(client)
        self._change = client.register_script(scripts.CHANGE)
        self._replace = client.register_script(scripts.REPLACE)
        self._advance = client.register_script(scripts.ADVANCE)
        self._add_once = client.register_script(scripts.ADD_ONCE)
        self._hints = Hints(client, _FAULTS)

    @classmethod
    def from_url(
        cls, url: str, *, timeout_seconds: float, product: str = DEFAULT_PRODUCT
    ) -> RedisStore:
        """A store for a URL (see `connect`); nothing is sent yet."""
        return cls(connect(url, timeout_seconds=timeout_seconds), product)

    def _key(self, name: str) -> str:
        """What a key or channel is called in Redis."""
        return self._prefix + name.removeprefix(_OWN_PREFIX)

    def _keys(self, names: Iterable[str]) -> list[str]:
        return [self._key(name) for name in names]

    @_guarded
    def ping(self) -> float:
        start = time.perf_counter()
        self._client.ping()
        return time.perf_counter() - start

    @_guarded
    def time(self) -> float:
        start = time.monotonic()
        if isinstance(self._client, LateCluster):
            # One node for all processes: each has a clock of its own, and all would be asked.
            node = self._client.get_node_from_key(self._key(keys.FLAGS))
            told = self._client.time(target_nodes=node)
        else:
            told = self._client.time()
        seconds, micros = next(iter(told.values())) if isinstance(told, dict) else told
        return int(seconds) + int(micros) / 1e6 + (time.monotonic() - start) / 2

    def oddity(self) -> str | None:
        try:
            return evicting_policy(self._client.info("memory"))
        except _FAULTS:
            return None  # a user who may not ask, or a server that is away

    @_guarded
    def get(self, key: str) -> bytes | None:
        return self._client.get(self._key(key))  # type: ignore[no-any-return]

    @_guarded
    def get_all(self, keys: Sequence[str]) -> dict[str, bytes]:
        pipe = self._client.pipeline(transaction=False)
        for key in keys:
            pipe.get(self._key(key))
        found = zip(keys, pipe.execute(), strict=True)
        return {key: value for key, value in found if value is not None}

    @_guarded
    def put(self, key: str, value: bytes, *, ttl_seconds: float | None = None) -> None:
        self._client.set(self._key(key), value, px=_ms(ttl_seconds))

    @_guarded
    def put_new(self, key: str, value: bytes, *, ttl_seconds: float | None = None) -> bool:
        return bool(self._client.set(self._key(key), value, px=_ms(ttl_seconds), nx=True))

    @_guarded
    def replace(
        self, key: str, old: bytes, new: bytes | None, *, ttl_seconds: float | None = None
    ) -> bool:
        arguments = [old, int(new is None), new or b"", _ms(ttl_seconds) or 0]
        return bool(self._replace(keys=[self._key(key)], args=arguments))

    @_guarded
    def delete(self, key: str) -> bool:
        return bool(self._client.delete(self._key(key)))

    @_guarded
    def announce(
        self,
        roster: str,
        member: str,
        value: bytes,
        *,
        ttl_seconds: float,
        unchanged: bool = False,
        read: Sequence[str] = (),
        versions: Sequence[str] = (),
    ) -> Reading:
        values, told = redis_rosters.announce(
            self._client,
            self._key(roster),
            member,
            value,
            ttl_ms=_ms(ttl_seconds) or 1,
            unchanged=unchanged,
            also=Also(self._keys(read), self._keys(versions)),
        )
        return Reading(
            {name: found for name, found in zip(read, values, strict=True) if found is not None},
            {register: _version(pair) for register, pair in zip(versions, told, strict=True)},
        )

    @_guarded
    def withdraw(self, roster: str, member: str) -> None:
        redis_rosters.withdraw(self._client, self._key(roster), member)

    @_guarded
    def members(self, roster: str) -> dict[str, bytes]:
        return redis_rosters.members(self._client, self._key(roster))

    @_guarded
    def add(
        self,
        tallies: Mapping[str, Mapping[str, float]],
        *,
        ttl_seconds: float,
        once: str | None = None,
    ) -> None:
        tallies = {self._key(key): amounts for key, amounts in tallies.items()}
        if once is not None and tallies:
            keys = [f"{next(iter(tallies))}:once:{once}", *tallies]
            self._add_once(keys=keys, args=scripts.add_arguments(tallies, _ms(ttl_seconds) or 1))
            return
        pipe = self._client.pipeline(transaction=False)
        for key, amounts in tallies.items():
            for name, amount in amounts.items():
                pipe.zincrby(key, amount, name)
            pipe.pexpire(key, _ms(ttl_seconds))
        pipe.execute()

    @_guarded
    def totals(self, keys: Sequence[str]) -> dict[str, float]:
        if not keys:
            return {}
        pairs = self._client.zunion(self._keys(keys), aggregate="SUM", withscores=True)
        return {name.decode(): float(score) for name, score in pairs}

    @_guarded
    def read_register(self, key: str) -> Register:
        raw = {name.decode(): value for name, value in self._client.hgetall(self._key(key)).items()}
        epoch = raw.pop(EPOCH, b"").decode()
        return Register(epoch, int(raw.pop(VERSION, b"0")), raw)

    @_guarded
    def read_version(self, key: str) -> tuple[str, int]:
        return _version(self._client.hmget(self._key(key), [EPOCH, VERSION]))

    @_guarded
    def change_register(self, key: str, change: Change) -> Register | None:
        keys = self._keys(name for name in (key, change.log) if name)
        hint = self._key(change.hint) if change.hint else ""
        arguments = scripts.change_arguments(change, epoch=uuid.uuid4().hex, hint=hint)
        done = self._change(keys=keys, args=arguments)
        return Register(done[0].decode(), int(done[1])) if done else None

    @_guarded
    def append(self, log: str, record: Mapping[str, str], *, keep: int = 10_000) -> None:
        self._client.xadd(self._key(log), dict(record), maxlen=keep, approximate=True)

    @_guarded
    def records(
        self, log: str, *, count: int, before: str | None = None
    ) -> list[tuple[str, dict[str, str]]]:
        newest = "+" if before is None else f"({before}"
        found = self._client.xrevrange(self._key(log), max=newest, count=count)
        return [
            (name.decode(), {k.decode(): v.decode() for k, v in fields.items()})
            for name, fields in found
        ]

    @_guarded
    def advance(self, key: str, number: int, *, ttl_seconds: float) -> int:
        return int(self._advance(keys=[self._key(key)], args=[number, _ms(ttl_seconds)]))

    @_guarded
    def advance_all(self, marks: Mapping[str, int], *, ttl_seconds: float) -> None:
        pipe = self._client.pipeline(transaction=False)
        for key, number in marks.items():
            # Not the registered script: a pipeline would first ask whether Redis knows it.
            # Not `eval`: a cluster's pipeline refuses that by name.
            pipe.execute_command(
                "EVAL", scripts.ADVANCE, 1, self._key(key), number, _ms(ttl_seconds)
            )
        pipe.execute()

    @_guarded
    def put_many(self, values: Mapping[str, bytes | None], *, ttl_seconds: float) -> None:
        if not values:
            return
        pipe = self._client.pipeline(transaction=False)
        for key, value in values.items():
            if value is None:
                pipe.delete(self._key(key))
            else:
                pipe.set(self._key(key), value, px=_ms(ttl_seconds))
        pipe.execute()

    @_guarded
    def append_lines(self, lines: Sequence[LogLine], *, keep: int, ttl_seconds: float) -> None:
        named = [dataclasses.replace(line, log=self._key(line.log)) for line in lines]
        redis_lines.append(self._client, named, keep=keep, ttl_ms=_ms(ttl_seconds) or 1)

    @_guarded
    def lines_since(self, logs: Sequence[str], since: float) -> dict[str, list[Line]]:
        found = redis_lines.since(self._client, self._keys(logs), since)
        return dict(zip(logs, found, strict=True))

    @_guarded
    def publish(self, channel: str, message: str) -> None:
        # Redis may forbid the channel; what the hint tells of is written all the same.
        with suppress(redis.exceptions.NoPermissionError):
            self._client.publish(self._key(channel), message)

    def listen(self, channels: Sequence[str], on_message: Message) -> Subscription:
        names = {self._key(channel): channel for channel in channels}
        return self._hints.follow(list(names), lambda name: on_message(names[name]))

    def close(self) -> None:
        self._hints.close()
        self._client.close()


def _version(pair: Sequence[bytes | None]) -> tuple[str, int]:
    epoch, version = pair
    return (epoch or b"").decode(), int(version or 0)


def _ms(seconds: float | None) -> int | None:
    return None if seconds is None else max(1, round(seconds * 1000))
