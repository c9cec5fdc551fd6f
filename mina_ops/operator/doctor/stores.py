"""What both colours share: Redis and the database, looked at from here and through the app."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import redis

from mina_ops.operator.checklist.model import FAILED, OPEN
from mina_ops.operator.checklist.preflight import Preflight, PreflightOptions
from mina_ops.operator.config.settings import OperatorSettings
from mina_ops.operator.database.connection.options import DatabaseOptions
from mina_ops.operator.doctor.findings import Finding, fault, ok, unknown, warning
from mina_ops.operator.system.patience import patient

_SECONDS = 2.0
_OLDEST = (6, 2)
_CLOCK_SECONDS = 2.0
_CHANNEL = "mina:hint:doctor"


def examine(settings: OperatorSettings) -> Iterator[Finding]:
    """Redis and the database."""
    yield from _redis(settings)
    yield from _database(settings)


def _redis(settings: OperatorSettings) -> Iterator[Finding]:
    variable = settings.section("preflight").fill(PreflightOptions).redis_env
    url = os.environ.get(variable, "")
    if not url:
        yield unknown(
            "redis",
            f"{variable} is not set in this shell: only what the app says of it is known",
            f"{variable}=redis://... mina-ops doctor",
        )
        return
    seconds = patient(_SECONDS)
    limits = {"socket_timeout": seconds, "socket_connect_timeout": seconds}
    try:
        with redis.Redis.from_url(url, **limits) as client:
            began = time.time()
            client.ping()
            yield from _version(client)
            yield from _policy(client)
            yield from _rights(client)
            yield from _store_clock(client, began)
    except (redis.RedisError, ValueError) as error:
        yield fault(
            "redis", f"does not answer ({type(error).__name__})", f"redis-cli -u ${variable} ping"
        )


def _version(client: Any) -> Iterator[Finding]:
    try:
        version = str(client.info("server")["redis_version"])
    except (redis.RedisError, KeyError):
        yield ok("redis", "answers; this user may not ask its version")
        return
    if tuple(int(part) for part in version.split(".")[:2]) < _OLDEST:
        yield fault("redis", f"is {version}; 6.2 or newer is needed", "upgrade it")
    else:
        yield ok("redis", f"{version} answers")


def _policy(client: Any) -> Iterator[Finding]:
    try:
        policy = str(client.config_get("maxmemory-policy").get("maxmemory-policy", ""))
    except redis.RedisError:
        yield unknown("redis", "this user may not ask for the eviction policy")
        return
    if policy.startswith("allkeys"):
        yield warning(
            "redis",
            f"its policy {policy} may drop flags, history and drain orders when memory is full",
            "redis-cli CONFIG SET maxmemory-policy volatile-lru",
        )


def _rights(client: Any) -> Iterator[Finding]:
    """Whether the user may publish and run scripts: an ACL user of Redis 7 may not by default."""
    tries: tuple[tuple[str, Callable[[], Any], str], ...] = (
        ("channels", lambda: client.publish(_CHANNEL, ""), "ACL SETUSER NAME &mina:*"),
        ("scripts", lambda: client.eval("return 1", 0), "ACL SETUSER NAME +@scripting"),
    )
    for what, run, todo in tries:
        try:
            run()
        except redis.exceptions.NoPermissionError:
            yield warning("redis", f"this user has no rights on {what}", f"redis-cli {todo}")


def _store_clock(client: Any, began: float) -> Iterator[Finding]:
    seconds, micros = client.time()
    apart = seconds + micros / 1e6 - began
    if abs(apart) > _CLOCK_SECONDS + patient(_SECONDS):
        yield warning("redis", f"its clock is {apart:+.0f} s from this machine's", "check NTP")


def _database(settings: OperatorSettings) -> Iterator[Finding]:
    database = settings.section("database").fill(DatabaseOptions)
    if not os.environ.get(database.url_env):
        yield unknown(
            "database",
            f"{database.url_env} is not set in this shell: only what the app says is known",
            f"{database.url_env}=postgresql://... mina-ops doctor",
        )
        return
    options = settings.section("preflight").fill(PreflightOptions)
    flight = Preflight("doctor", options, database, settings)
    for area, look in (("database", flight.database_reachable), ("migrations", flight.migrations)):
        state, reason = look()
        if state == FAILED:
            yield fault(area, reason, "mina-ops db migrations status")
        elif state == OPEN:
            yield unknown(area, reason)
        else:
            yield ok(area, reason or "answers")
