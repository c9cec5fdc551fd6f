"""`mina-ops incident status-page`: what is published, and how it is told."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import click

from mina_ops.cli import output
from mina_ops.operator.config.incident import IncidentOptions
from mina_ops.operator.incident.status_page.model import Entry, Maintenance, Status
from mina_ops.operator.incident.status_page.publishing import StatusPage, moment, page_of
from mina_ops.operator.system import times


def published(options: IncidentOptions, given: Mapping[str, Any], *, dry_run: bool) -> None:
    """Publish what the options of the command say, and say so."""
    now, page = datetime.now(UTC), page_of(options)
    made = _wanted(given, now)
    if dry_run:
        value: dict[str, Any] = {"dry_run": True, "folder": str(page.folder), **_told(made)}
        output.data(value, f"Would publish in {page.folder} {_words(made)}")
        return
    status = _publish(page, made, now)
    value = {**_told(made), "page": str(page.folder), "status": status.to_json()}
    where = page.folder / "index.html"
    output.data(value, f"Published {_words(made)}\n{where}")


def _wanted(given: Mapping[str, Any], now: datetime) -> Entry | Maintenance | None:
    """An update, maintenance that is announced, or None: it is called off."""
    if given["call_off"]:
        return None
    if bool(given["begin"]) != bool(given["end"]):
        raise click.UsageError("Maintenance has --from and --to.")
    if given["begin"] and given["state"] not in (None, "maintenance"):
        raise click.UsageError("What has --from and --to is of the state maintenance.")
    text, components = _text(given["text"]), tuple(given["components"])
    if given["begin"]:
        begin, end = (moment(times.coming(given[name])) for name in ("begin", "end"))
        return Maintenance(begin, end, text, components)
    return Entry(moment(now), given["state"] or "outage", text, components)


def _text(given: str | None) -> str:
    if given is None and sys.stdin.isatty():
        raise click.UsageError("Give --text, or the text on standard input.")
    return given if given is not None else sys.stdin.read()


def _publish(page: StatusPage, made: Entry | Maintenance | None, now: datetime) -> Status:
    if made is None:
        return page.call_off(now)
    return page.publish(made) if isinstance(made, Entry) else page.announce(made, now)


def _told(made: Entry | Maintenance | None) -> dict[str, Any]:
    if made is None:
        return {"state": "called off"}
    about = {"text": " ".join(made.text.split()), "components": list(made.components)}
    if isinstance(made, Entry):
        return {"state": made.state, **about}
    return {"state": "maintenance", "from": made.begin, "to": made.end, **about}


def _words(made: Entry | Maintenance | None) -> str:
    if made is None:
        return "(called off): no maintenance is planned."
    told = _told(made)
    when = f", {told['from']} to {told['to']}" if isinstance(made, Maintenance) else ""
    about = f", {', '.join(made.components)}" if made.components else ""
    return f"({told['state']}{when}{about}): {told['text']}"
