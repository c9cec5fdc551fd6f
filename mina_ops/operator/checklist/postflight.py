"""The playbook's checklists after a release: within an hour, a day, a week."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from mina_ops.errors import AppUnreachable, ConfigurationError
from mina_ops.fields import NUMBER, TEXTS, setting
from mina_ops.operator.api.client import AppClient
from mina_ops.operator.api.flags import open_client
from mina_ops.operator.checklist.model import FAILED, OK, OPEN, SKIPPED, Item
from mina_ops.operator.config.settings import OperatorSettings
from mina_ops.operator.database.connection import connect
from mina_ops.operator.database.connection.options import DatabaseOptions
from mina_ops.operator.database.connection.queries import rows
from mina_ops.operator.database.connection.sealed import sealed
from mina_ops.operator.release import plan
from mina_ops.operator.release.journal import Journal, history
from mina_ops.operator.release.model import Phase
from mina_ops.operator.release.verdicts.statistics import has_grown

KEEP_DAYS = 7
_HOUR_SECONDS = 3600

_EXTENSION = sealed("""
SELECT quote_ident(n.nspname) AS schema, current_setting('shared_preload_libraries') AS loaded
FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace
WHERE e.extname = 'pg_stat_statements'
""")
_SLOW = """
SELECT left(regexp_replace(s.query, '\\s+', ' ', 'g'), 80) AS query, s.calls,
  round(s.mean_exec_time::numeric, 1) AS mean_ms
FROM {schema}.pg_stat_statements AS s JOIN pg_database AS d ON d.oid = s.dbid
WHERE (d.datname = current_database()) AND ((s.mean_exec_time > :slow) AND (s.calls >= 5))
ORDER BY s.total_exec_time DESC LIMIT 5
"""


@dataclass(frozen=True)
class PostflightOptions:
    """The table `[postflight]` of mina-ops.toml; rates in percent, as the playbook's."""

    # fmt: off
    error_percent: float = setting(0.1, NUMBER,
        "The item `errors` fails from this error rate on.", "percent", least=0, most=100)
    websocket_percent: float = setting(99.0, NUMBER,
        "The item `websockets` fails where fewer connections succeed.", "percent",
        least=0, most=100)
    p95_increase_percent: float = setting(50.0, NUMBER,
        "The item `performance` fails if P95 rose above the release's baseline by more than this "
        "and by more than `p95_increase_ms`.", "percent", least=0)
    p95_increase_ms: float = setting(5.0, NUMBER,
        "See `p95_increase_percent`.", "ms", least=0)
    jobs: tuple[str, ...] = setting(("ai_insights", "transcription"), TEXTS,
        "Outcomes that background jobs record; each must have happened in the last hour.")
    slow_ms: float = setting(500.0, NUMBER,
        "The item `slow_queries` fails if a query takes longer on average.", "ms", least=1)
    # fmt: on


@dataclass(frozen=True)
class Released:
    """The release that the list is about, as its journal tells.

    Attributes:
        new, old: the colours.
        at: when it was done.
        baseline: figures of the old colour before the release began; `histogram` has its latencies.
    """

    version: str
    new: str
    old: str
    at: datetime
    baseline: Mapping[str, Any]


def last_release(settings: OperatorSettings) -> Released:
    """The newest release that was done.

    Raises:
        ConfigurationError: there is none.
    """
    for journal in history(plan.read(settings).folder):
        progress = journal.progress()
        if progress.phase is Phase.DONE:
            return _released(journal, progress.detail)
    raise ConfigurationError("No release was done yet; `mina-ops release start VERSION` does one.")


@dataclass(frozen=True)
class Postflight:
    """What the items look at; each method that is an item returns its state and the reason."""

    settings: OperatorSettings
    release: Released
    options: PostflightOptions
    database: DatabaseOptions
    now: datetime

    def items(self, within: str) -> list[Item]:
        """The list of the playbook for `1h`, `24h` or `1w` after the release."""
        return {"1h": self._hour, "24h": self._day, "1w": self._week}[within]()

    def _hour(self) -> list[Item]:
        limit = self.options.error_percent
        return [
            Item("errors", f"Error rate settled below {limit:g} %", self.errors),
            Item("jobs", "Background jobs run", self.jobs),
            Item("websockets", "WebSocket connections stable", self.websockets),
            Item("sentry", "Sentry checked for new exception types"),
            Item("performance", "Performance as before the release", self.performance),
        ]

    def _day(self) -> list[Item]:
        return [
            Item("flags", "New flags rolled out: 10, 25, 50, 100 percent", self.flags),
            Item("feedback", "User feedback read (support tickets, Slack)"),
            Item("slow_queries", "No slow query in the database", self.slow_queries),
            Item("recordings", "User session recordings looked at"),
            Item("old_colour", f"Old colour kept {KEEP_DAYS} days, then stopped", self.old_colour),
        ]

    def _week(self) -> list[Item]:
        return [
            Item("retrospective", "Retrospective held"),
            Item("playbook", "Playbook updated with what was learnt"),
            Item("performance", "Bottlenecks removed: performance as before", self.performance),
            Item("artifacts", "Logs, metrics and backups of the release archived"),
            Item("interventions", "Manual interventions written down"),
            Item("old_colour", "Old colour stopped", self.old_colour),
        ]

    def errors(self) -> tuple[str, str]:
        """The error rate of the last hour."""
        body = self._metric("errors", _HOUR_SECONDS)
        requests, errors = int(body.get("requests") or 0), int(body.get("errors") or 0)
        if not requests:
            return FAILED, "no request in the last hour"
        rate = 100 * errors / requests
        state = OK if rate < self.options.error_percent else FAILED
        return state, f"{rate:.3g} % of {requests} requests"

    def jobs(self) -> tuple[str, str]:
        """Each job recorded an outcome in the last hour."""
        silent: list[str] = []
        said: list[str] = []
        for name in self.options.jobs:
            body = self._metric(f"outcomes/{name}", _HOUR_SECONDS)
            samples = int(body.get("samples") or 0)
            (said if samples else silent).append(f"{name} {samples}")
        if silent:
            return FAILED, f"silent for an hour: {', '.join(silent)}"
        return (OK, ", ".join(said)) if said else (SKIPPED, "postflight.jobs is empty")

    def websockets(self) -> tuple[str, str]:
        """Connections succeed as before."""
        body = self._metric("websockets", _HOUR_SECONDS)
        rate = body.get("connection_success_rate")
        if rate is None:
            return OPEN, "nobody connected in the last hour"
        state = OK if rate >= self.options.websocket_percent else FAILED
        return state, f"{rate:.4g} % of {body.get('attempts', body.get('samples'))} succeeded"

    def performance(self) -> tuple[str, str]:
        """P95 against the baseline that the release recorded before it began."""
        now = self._metric("performance", _HOUR_SECONDS).get("p95_ms")
        before = p95(self.release.baseline.get("histogram") or ())
        if now is None:
            return FAILED, "no request in the last hour"
        if before is None:
            return OPEN, f"P95 is {now:.0f} ms; the release recorded no baseline"
        limits = self.options.p95_increase_percent, self.options.p95_increase_ms
        slower = has_grown(now, before, *limits)
        return (FAILED if slower else OK), f"P95 {now:.0f} ms, before {before:.0f} ms"

    def flags(self) -> tuple[str, str]:
        """Flags of the release that are off, or on for less than everybody."""
        with open_client(self.settings) as client:
            found = client.all(release=self.release.version)["flags"]
        half = [
            f"{flag['key']} at {flag.get('rollout_percent', 100):g} %"
            if flag.get("enabled")
            else f"{flag['key']} off"
            for flag in found
            if not flag.get("enabled") or float(flag.get("rollout_percent", 100)) < 100
        ]
        return (OPEN, ", ".join(half)) if half else (OK, f"{len(found)} flags, all fully on")

    def slow_queries(self) -> tuple[str, str]:
        """Slow statements, by pg_stat_statements."""
        database = connect.from_variable(self.database.url_env)
        if database.kind != "postgresql":
            return SKIPPED, "SQLite keeps no statistics of statements"
        with database.connect() as connection:
            there = rows(connection, _EXTENSION)
            if not there:
                return SKIPPED, "the extension pg_stat_statements is not installed"
            if "pg_stat_statements" not in there[0].loaded:
                return SKIPPED, "pg_stat_statements is not in shared_preload_libraries"
            query = sealed(_SLOW).format(schema=there[0].schema)
            slow = rows(connection, query, slow=self.options.slow_ms)
        if not slow:
            return OK, f"none above {self.options.slow_ms:g} ms"
        return FAILED, "; ".join(f"{row.mean_ms} ms x {row.calls}: {row.query}" for row in slow)

    def old_colour(self) -> tuple[str, str]:
        """The old colour stays as a way back, and goes after seven days."""
        due = self.release.at + timedelta(days=KEEP_DAYS)
        if self.now < due:
            return OK, f"{self.release.old} is kept until {due:%Y-%m-%d}"
        colour = self.settings.colour(self.release.old)
        with AppClient(colour.name, colour.url) as client:
            try:
                client.health()
            except AppUnreachable:
                return OK, f"{colour.name} is stopped"
        return OPEN, f"{colour.name} still runs since {due:%Y-%m-%d} was reached; stop it"

    def _metric(self, name: str, window: int) -> Mapping[str, Any]:
        colour = self.settings.colour(self.release.new)
        with AppClient(colour.name, colour.url, token=self.settings.token()) as client:
            return client.metric(name, window_seconds=window)


def p95(histogram: Sequence[Sequence[float]]) -> float | None:
    """The 95th percentile of (upper bound in ms, count) pairs; None without any."""
    total = sum(count for _, count in histogram)
    seen = 0.0
    for bound, count in histogram:
        seen += count
        if total and seen >= 0.95 * total:
            return float(bound)
    return None


def _released(journal: Journal, detail: Mapping[str, Any]) -> Released:
    entries = journal.entries()
    return Released(
        version=str(detail.get("version", journal.release_id)),
        new=str(detail.get("to", "green")),
        old=str(detail.get("from", "blue")),
        at=datetime.fromtimestamp(entries[-1].at, UTC),
        baseline=detail.get("baseline") or {},
    )
