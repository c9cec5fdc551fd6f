"""The words of a judgement: figures, triggers, findings, responses. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from mina_ops.fields import NUMBER, WHOLE, setting


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


class Tally(NamedTuple):
    """How many attempts there were, and how many of them failed."""

    failed: int = 0
    tried: int = 0

    @property
    def rate(self) -> float:
        """The share that failed, 0 to 1; 0 of nothing."""
        return self.failed / self.tried if self.tried else 0.0


@dataclass(frozen=True)
class Handshakes:
    """Socket.IO handshakes: accepted, failed by the server, and refused for what clients sent.

    `clients` says from how many different clients the last kind came, as far as that is known.
    """

    accepted: int = 0
    failed: int = 0
    refused: int = 0
    clients: int | None = None


@dataclass(frozen=True)
class Figures:
    """What one colour shows over a window of `seconds`; None where it could not be read.

    `histogram` holds (upper bound in ms, count) of request durations, ascending; `reads` the
    same of GETs and HEADs alone, None where an older app does not tell them apart. Health words
    are those of the endpoints: `healthy`, `unhealthy`, `disabled`. `database_ms` was measured
    at `database_at`, in seconds of this machine's monotonic clock, which no journal keeps. The
    rest was read at `read_at`, in unix seconds of the clock that both colours share: whoever
    resumes a release after a reboot, or on another machine, still knows how old its baseline
    is. `outcomes` are the host's own attempts by name, `numbers` what further triggers read,
    by trigger. `fault` says why nothing could be read. `recent` holds the counts over shorter
    windows, where the good minutes before it do not thin out a fault that begins late.
    `age_seconds` is how much older its durations are than those that they are compared with.
    """

    seconds: float = 0.0
    requests: int = 0
    errors: int = 0
    histogram: Sequence[tuple[float, float]] = ()
    reads: Sequence[tuple[float, float]] | None = None
    handshakes: Handshakes = Handshakes()
    outcomes: Mapping[str, Tally] = field(default_factory=dict)
    numbers: Mapping[str, float | str | None] = field(default_factory=dict)
    database: str | None = None
    database_ms: float | None = None
    database_at: float | None = None
    ai: str | None = None
    stale: bool = False
    fault: str | None = None
    recent: Sequence[Figures] = ()
    read_at: float | None = None
    age_seconds: float = 0.0


@dataclass(frozen=True)
class NumberTrigger:
    """A further trigger: any number, compared with a limit or with what it was before.

    The number is a figure of `/api/metrics/*` (`figure`, as "sessions/active:active_sessions") or
    the last line that a command prints (`command`). It is bad below `least`, above `most`, or when
    it is `change_percent` away from its value before the release.
    """

    name: str
    figure: str | None = None
    command: str | None = None
    least: float | None = None
    most: float | None = None
    change_percent: float | None = None
    response: Response = Response.GRADUAL


@dataclass(frozen=True)
class OutcomeTrigger:
    """A further trigger: an outcome that the host records, with the least success in percent."""

    name: str
    outcome: str
    least_percent: float
    response: Response = Response.GRADUAL


@dataclass(frozen=True)
class Triggers:
    """When a release is bad; the playbook's figures are the defaults.

    `outcomes` and `numbers` are further triggers, see `verdicts.triggers`.
    """

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
    streak: int = setting(3, WHOLE,
        "Looks in a row before a state counts; checks for the database's latency.", "looks",
        least=1, most=100)
    # fmt: on
    outcomes: Sequence[OutcomeTrigger] = ()
    numbers: Sequence[NumberTrigger] = ()


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
class Look:
    """What a trigger is given: both colours now, the old one before the release, the limits.

    `seen` is the trigger's own streak of the look before.
    """

    new: Figures
    old: Figures
    before: Figures
    rules: Triggers
    seen: Streak = Streak()


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
    def asking(self) -> list[Finding]:
        """The findings that ask for `response`."""
        return [f for f in self.findings if f.response is self.response]

    @property
    def reasons(self) -> list[str]:
        """Why it asks for what it asks."""
        return [finding.reason for finding in self.asking]
