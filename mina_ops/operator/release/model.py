"""The words of a release: phases, figures, triggers, verdicts. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from mina_ops.fields import NUMBER, WHOLE, setting


class Phase(StrEnum):
    """Where a release is; in this order, apart from the last four."""

    CHECKS = "checks"
    """Everything that must hold before anything is touched."""
    BACKUP = "backup"
    MIGRATE = "migrate"
    START = "start"
    """Start the new colour and warm it up."""
    HEALTH = "health"
    """The new colour is ready, and stays so."""
    SMOKE = "smoke"
    SWITCH = "switch"
    """Traffic moves, step by step, and is watched at each."""
    DRAIN = "drain"
    """Live sessions leave the old colour."""
    WATCH = "watch"
    """All traffic is on the new colour, and is watched."""
    DONE = "done"
    ROLLING_BACK = "rolling_back"
    ROLLED_BACK = "rolled_back"
    FAILED = "failed"
    """Ended before any traffic moved; nothing to take back."""


FORWARD = (
    Phase.CHECKS,
    Phase.BACKUP,
    Phase.MIGRATE,
    Phase.START,
    Phase.HEALTH,
    Phase.SMOKE,
    Phase.SWITCH,
    Phase.DRAIN,
    Phase.WATCH,
    Phase.DONE,
)
ENDED = (Phase.DONE, Phase.ROLLED_BACK, Phase.FAILED)
WITH_TRAFFIC = (Phase.SWITCH, Phase.DRAIN, Phase.WATCH)


class Verdict(StrEnum):
    """What one trigger says of one look."""

    PASS = "pass"  # noqa: S105 - a verdict
    FAIL = "fail"
    NO_DATA = "no_data"
    """Too few samples to say anything; never a pass."""
    ERROR = "error"
    """The figure could not be read, or is stale."""


class Response(StrEnum):
    """What a failed trigger asks for; the strongest one wins."""

    NONE = "none"
    HOLD = "hold"
    """Stay, and page somebody: both colours show the fault, so moving traffic helps nobody."""
    GRADUAL = "gradual"
    """Take 75 % back, watch, then take all back."""
    INSTANT = "instant"
    """Take all traffic back at once."""


STRENGTH = (Response.NONE, Response.HOLD, Response.GRADUAL, Response.INSTANT)


@dataclass(frozen=True)
class Figures:
    """What one colour shows over a window; None where it could not be read.

    `histogram` holds (upper bound in ms, count) of request durations, ascending. Health words
    are those of the endpoints: `healthy`, `unhealthy`, `disabled`. `database_ms` was measured at
    `database_at`, in seconds of this machine's monotonic clock. `fault` says why nothing
    could be read. `recent` holds the counts over shorter windows, where the good minutes before
    it do not thin out a fault that begins late.
    """

    requests: int = 0
    errors: int = 0
    histogram: Sequence[tuple[float, float]] = ()
    websocket_attempts: int = 0
    websocket_failures: int = 0
    database: str | None = None
    database_ms: float | None = None
    database_at: float | None = None
    ai: str | None = None
    stale: bool = False
    fault: str | None = None
    recent: Sequence[Figures] = ()


@dataclass(frozen=True)
class Triggers:
    """When a release is bad; the playbook's figures are the defaults."""

    # fmt: off
    error_percent: float = setting(5.0, NUMBER,
        "More failed requests than this: instant rollback.", "percent", least=0.01, most=100)
    p95_increase_percent: float = setting(50.0, NUMBER,
        "P95 so much above the other colour's over the same window: gradual rollback.",
        "percent", least=1)
    p95_increase_ms: float = setting(5.0, NUMBER,
        "A smaller increase of P95 is no reason to go back.", "ms", least=0)
    database_ms: float = setting(500.0, NUMBER,
        "A slower database check: gradual rollback.", "ms", least=1)
    websocket_percent: float = setting(95.0, NUMBER,
        "Fewer Socket.IO handshakes succeed: gradual rollback.", "percent", least=0, most=99.99)
    tolerated: float = setting(0.2, NUMBER,
        "A rate must surely be above this share of its limit, too.", "share",
        least=0.001, most=1)
    least_samples: int = setting(50, WHOLE,
        "Before that a rate has no verdict.", "samples", least=1)
    streak: int = setting(3, WHOLE,
        "Looks in a row before a state counts; checks for the database's latency.", "looks",
        least=1, most=100)
    # fmt: on


class Streak(NamedTuple):
    """How often in a row a fault was seen that only counts when it stays.

    `at` is when the last was measured (monotonic seconds), so that none is counted twice.
    """

    times: int = 0
    at: float | None = None


@dataclass(frozen=True)
class Finding:
    """One trigger's verdict on one look; `reason` is for a person."""

    trigger: str
    verdict: Verdict
    response: Response
    reason: str
    streak: Streak = Streak()


@dataclass(frozen=True)
class Judgement:
    """All findings of one look."""

    findings: Sequence[Finding]

    @property
    def streaks(self) -> Mapping[str, Streak]:
        """Trigger -> how often in a row its fault was seen; to be handed to the next look."""
        return {f.trigger: f.streak for f in self.findings if f.streak.times}

    @property
    def response(self) -> Response:
        """The strongest response that a finding asks for."""
        asked = [finding.response for finding in self.findings]
        return max(asked, key=STRENGTH.index, default=Response.NONE)

    @property
    def conclusive(self) -> bool:
        """Whether every trigger passed: only then may traffic grow."""
        return all(finding.verdict is Verdict.PASS for finding in self.findings)

    @property
    def reasons(self) -> list[str]:
        """Why it asks for what it asks."""
        return [f.reason for f in self.findings if f.response is self.response]
