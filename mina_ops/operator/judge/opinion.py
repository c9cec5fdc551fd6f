"""The answer to Argo Rollouts or Flagger: pass, fail or inconclusive, and why. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from mina_ops.operator.release.verdicts.model import (
    Figures,
    Finding,
    Judgement,
    Response,
    Triggers,
    Verdict,
)


class Answer(StrEnum):
    """The three answers; whatever is no sure pass and no sure fail is inconclusive."""

    PASS = "pass"  # noqa: S105 - an answer
    """Every trigger passed: the new colour may have more."""
    FAIL = "fail"
    """A trigger asks for the way back."""
    INCONCLUSIVE = "inconclusive"
    """Too few samples, figures that cannot be read, no release, or a fault that both show."""


@dataclass(frozen=True)
class Party:
    """Who answers at a colour's address: the colour that it says it is, and its version."""

    environment: str
    version: str


@dataclass(frozen=True)
class Opinion:
    """One look's answer; `began` is when the look began, in monotonic seconds."""

    answer: Answer
    reasons: Sequence[str]
    response: Response = Response.NONE
    findings: Sequence[Finding] = ()
    new: Party | None = None
    old: Party | None = None
    seconds: float = 0.0
    began: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """The body of `GET /verdict`."""
        return {
            "verdict": self.answer,
            "response": self.response,
            "reasons": list(self.reasons),
            "window_seconds": self.seconds,
            "new": _party(self.new),
            "old": _party(self.old),
            "findings": [
                {"trigger": f.trigger, "verdict": f.verdict, "reason": f.reason}
                for f in self.findings
            ],
        }


def inconclusive(reason: str) -> Opinion:
    """Nothing can be said, for this reason."""
    return Opinion(Answer.INCONCLUSIVE, [reason])


def of(judgement: Judgement) -> Opinion:
    """What a judgement means to an engine that knows no third way between more and back.

    A fault that both colours show asks for a person, not for the way back: the engine is told
    that nothing is sure, by which both of them stay where they are.
    """
    findings = judgement.findings
    if judgement.response in (Response.INSTANT, Response.GRADUAL):
        return Opinion(Answer.FAIL, judgement.reasons, judgement.response, findings)
    if judgement.conclusive:
        return Opinion(Answer.PASS, ["every trigger passed"], Response.NONE, findings)
    missing = [f"{f.trigger}: {f.reason}" for f in findings if f.verdict is not Verdict.PASS]
    return Opinion(Answer.INCONCLUSIVE, missing, judgement.response, findings)


def without_a_past(judgement: Judgement, rules: Triggers, before: Figures) -> Judgement:
    """The judgement, where a change since the release began cannot be told.

    `change_percent` compares with the time before. Whoever was started in the middle of a release
    has not seen that time, so such a trigger neither passes nor fails.
    """
    unknown = {
        one.name
        for one in rules.numbers
        if one.change_percent is not None and not isinstance(before.numbers.get(one.name), float)
    }

    def told(finding: Finding) -> Finding:
        if finding.trigger not in unknown or finding.verdict is not Verdict.PASS:
            return finding
        reason = f"{finding.reason}; nobody here saw what it was before this release"
        return replace(finding, verdict=Verdict.NO_DATA, reason=reason)

    return Judgement([told(finding) for finding in judgement.findings])


def _party(party: Party | None) -> dict[str, str] | None:
    return None if party is None else {"environment": party.environment, "version": party.version}
