"""`release show`: all entries of a release's journal, in order, as lines for a person."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from mina_ops.cli.release_summary import iso

if TYPE_CHECKING:
    from mina_ops.operator.release.journal import Entry


def lines(entries: list[Entry], *, steps: bool = False) -> Iterator[str]:
    """A line for each thing that happened, in order, with its time.

    Args:
        steps: also every request and command that a phase set out to make, as a dry run shows it.
    """
    begun: dict[str, float] = {}
    for entry in entries:
        stamp = time.strftime("%H:%M:%S", time.gmtime(entry.at))
        if entry.event == "begin":
            begun[entry.phase] = entry.at
        for text in _texts(entry, begun, steps=steps):
            yield f"{stamp}  {text}"


def head(entries: list[Entry]) -> str:
    """What was released from where to where, by whom, with which options and when; UTC."""
    detail: dict[str, object] = {}
    for entry in entries:
        detail |= entry.detail
    began = iso(entries[0].at) if entries else "?"
    who = f" by {detail['who']}" if detail.get("who") else ""
    old = detail.get("old_version")
    chosen = "".join(f" {option}" for option in _options(detail.get("chosen")))
    return (
        f"{detail.get('version')} from {detail.get('from')}{f' ({old})' if old else ''} to "
        f"{detail.get('to')}{who}{chosen and f' with{chosen}'}, begun {began}"
    )


def _options(chosen: object) -> Iterator[str]:
    for name, value in (chosen if isinstance(chosen, dict) else {}).items():
        yield f"--{name}" if value is True else f"--{name} {value:g}"


def _texts(entry: Entry, begun: dict[str, float], *, steps: bool) -> Iterator[str]:
    detail = entry.detail
    if entry.event == "begin":
        reasons = "; ".join(map(str, detail.get("reasons", [])))
        yield f"{entry.phase}" + (f": {reasons}" if reasons else "")
        yield from (f"  {line}" for line in (detail.get("steps", []) if steps else ()))
    elif entry.event == "end":
        yield f"{entry.phase}: done after {entry.at - begun.get(entry.phase, entry.at):.1f} s"
    elif entry.event == "request":
        yield f"  {detail.get('who')}: {detail.get('kind')}"
    elif entry.event == "step":
        yield f"  {detail.get('percent')} % are given"
    else:
        yield from _noted(entry)


def _noted(entry: Entry) -> Iterator[str]:
    detail = entry.detail
    if "command" in detail:
        yield f"  $ {detail['command']}"
        yield f"  ended with {detail.get('code')} after {detail.get('seconds')} s"
    if "drained" in detail:
        yield f"  {detail['drained']} is drained: {detail.get('sessions')} sessions moved"
    if "applied" in detail:
        yield f"  {detail['applied']} % are served, after {detail.get('milliseconds')} ms"
    if "notice" in detail:
        yield f"  {detail['notice']}: {detail.get('reason', '')}"
    if "could_not" in detail:
        yield f"  could not {detail['could_not']}: {detail.get('error', '')}"
    if "passed" in detail:
        yield f"  passed after {detail['passed']:g} s:"
        yield from (f"    {reason}" for reason in detail.get("verdicts", []))
    for key in ("not_clean", "without_data", "mirrored"):
        if key in detail:
            yield f"  {key.replace('_', ' ')}: {detail[key]}"
    if "traffic" in detail:
        yield f"  traffic is on {detail['traffic']}"
