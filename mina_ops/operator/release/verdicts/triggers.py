"""`[release.triggers]` of mina-ops.toml: limits of the built-in triggers, and further ones.

[release.triggers]
error_percent = 3
business = ["transcription", "ai_insights"]       # ready-made, see `BUSINESS`
[release.triggers.checkout]
outcome = "checkout"                              # ops.outcome("checkout") in the app
least_percent = 99
[release.triggers.queue]
command = "redis-cli llen jobs"                   # its last line is the number
most = 500
response = "hold"
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from mina_ops.operator.config.tables import Table
from mina_ops.operator.release.verdicts.model import (
    NumberTrigger,
    OutcomeTrigger,
    Response,
    Triggers,
)

BUSINESS: Mapping[str, OutcomeTrigger | NumberTrigger] = {
    "transcription": OutcomeTrigger("transcription", "transcription", 98.0),
    "ai_insights": OutcomeTrigger("ai_insights", "ai_insights", 95.0),
    "active_sessions": NumberTrigger(
        "active_sessions",
        figure="sessions/active:active_sessions",
        change_percent=50.0,
        response=Response.HOLD,
    ),
}
"""The playbook's three business figures, by the names that `business` lists."""

BY_DEFAULT = ("transcription", "ai_insights")
"""Judged without being asked for: where the host records nothing of them, they pass."""

_BUILT_IN = (
    *("error_rate", "database", "ai_service", "p95", "database_latency", "websocket_success"),
    *("figures", "share"),
)
_RESPONSES = tuple(str(one) for one in (Response.HOLD, Response.GRADUAL, Response.INSTANT))


def read(table: Table) -> Triggers:
    """The triggers that the table describes.

    Raises:
        ConfigurationError: a key is unknown or its value cannot be used.
    """
    own = [_own(table.table(name), name) for name in table.keys() if table.is_table(name)]  # noqa: SIM118
    further = [*_business(table), *own]
    return table.fill(
        Triggers,
        outcomes=tuple(one for one in further if isinstance(one, OutcomeTrigger)),
        numbers=tuple(one for one in further if isinstance(one, NumberTrigger)),
    )


def _business(table: Table) -> list[OutcomeTrigger | NumberTrigger]:
    names = table.texts("business", BY_DEFAULT)
    for name in names:
        if name not in BUSINESS:
            raise table.wrong("business", f"{name!r} is none of {', '.join(BUSINESS)}.")
    return [BUSINESS[name] for name in names if not table.is_table(name)]


def _own(table: Table, name: str) -> OutcomeTrigger | NumberTrigger:
    if name in _BUILT_IN:
        raise table.wrong("", f"{name} is built in; its limits are keys of [release.triggers].")
    outcome, figure = table.text("outcome", None), table.text("figure", None)
    command = table.text("command", None)
    if sum(given is not None for given in (outcome, figure, command)) != 1:
        raise table.wrong("", "give one of outcome, figure and command.")
    response = Response(table.choice("response", _RESPONSES, str(Response.GRADUAL)))
    if outcome is not None:
        least_percent = table.number("least_percent", 95.0, least=0, most=99.99)
        table.done()
        return OutcomeTrigger(name, outcome, least_percent, response)
    _check(table, figure, command)
    found = NumberTrigger(
        name,
        figure,
        command,
        least=_limit(table, "least"),
        most=_limit(table, "most"),
        change_percent=_limit(table, "change_percent"),
        response=response,
    )
    if found.least is None and found.most is None and found.change_percent is None:
        raise table.wrong("most", "give most, least or change_percent.")
    table.done()
    return found


def _check(table: Table, figure: str | None, command: str | None) -> None:
    if figure is not None and not all(figure.partition(":")):
        raise table.wrong("figure", f"{figure!r} must look like 'performance:p99_ms'.")
    try:
        filled = shlex.split(command or "x")
    except ValueError:
        filled = []
    if not filled:
        raise table.wrong("command", f"{command!r} is no command that can be run.")


def _limit(table: Table, key: str) -> float | None:
    return table.number(key, 0.0) if key in table else None
