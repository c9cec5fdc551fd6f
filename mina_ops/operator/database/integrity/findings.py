"""What a check of the data reports, and the report of all checks together."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Finding:
    """One fault: what is wrong with which object, how far it goes, and what to do.

    Attributes:
        check: the check that found it.
        table: the table, quoted and with its schema; "" if it concerns the whole database.
        detail: what is wrong, a sentence.
        advice: what to do about it.
        rows: how many rows are affected, where that can be counted.
        sample: up to five of them, by key.
        where: SQL that selects the affected rows of the table as `t`, for a closer look.
    """

    check: str
    table: str
    detail: str
    advice: str
    rows: int | None = None
    sample: tuple[str, ...] = ()
    where: str = field(default="", repr=False)


@dataclass(frozen=True)
class CheckResult:
    """How one check ended.

    Attributes:
        state: `ok`, `fault` (it found something), `skipped` (it does not apply) or `error` (it
            could not be made).
        reason: why it was skipped, as a whole or in part, or could not be made.
    """

    check: str
    state: str
    seconds: float
    reason: str = ""


@dataclass(frozen=True)
class Report:
    """All checks of one run."""

    database: str
    results: tuple[CheckResult, ...]
    findings: tuple[Finding, ...]

    @property
    def clean(self) -> bool:
        """Whether every check ran or was skipped, and none found a fault."""
        return not self.findings and all(item.state != "error" for item in self.results)

    def to_json(self) -> dict[str, Any]:
        """The report as JSON's types."""
        return {
            "database": self.database,
            "clean": self.clean,
            "checks": [asdict(item) for item in self.results],
            "findings": [
                {key: value for key, value in asdict(item).items() if key != "where"}
                for item in self.findings
            ],
        }

    def to_text(self) -> str:
        """The report as lines for a terminal."""
        marks = {"ok": "ok     ", "fault": "FAULT  ", "skipped": "skipped", "error": "ERROR  "}
        lines = [f"Database {self.database}"]
        for item in self.results:
            why = f": {item.reason}" if item.reason else ""
            lines.append(f"  {marks[item.state]} {item.check}{why}")
        for found in self.findings:
            number = "" if found.rows is None else f" ({found.rows} rows)"
            lines.append(f"{found.check}: {found.detail}{number}")
            if found.sample:
                lines.append(f"  such as {', '.join(found.sample)}")
            lines.append(f"  -> {found.advice}")
        lines.append("No fault found." if self.clean else f"{len(self.findings)} faults found.")
        return "\n".join(lines)
