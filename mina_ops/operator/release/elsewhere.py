"""Releases that run on another machine, as they report themselves to the app."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from mina_ops.errors import MinaOpsError
from mina_ops.operator.api.client import AppClient
from mina_ops.operator.config.settings import OperatorSettings
from mina_ops.operator.system.people import whoami

ALIVE_SECONDS = 30.0
"""A controller that was not heard for this long counts as dead."""

_POLL_SECONDS = 1.0


@dataclass(frozen=True)
class Reported:
    """A release as the app knows it; `age_seconds` since its controller was heard."""

    id: str
    version: str
    old: str
    new: str
    who: str
    phase: str
    ended: bool
    age_seconds: float
    body: Mapping[str, Any]

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Reported:
        """From the app's answer.

        Raises:
            ValueError: it describes no release.
        """
        try:
            return cls(
                id=str(body["id"]),
                version=str(body["version"]),
                old=str(body["from"]),
                new=str(body["to"]),
                who=f"{body.get('who')} on {body.get('host')}",
                phase=str(body["phase"]),
                ended=bool(body["ended"]),
                age_seconds=float(body["age_seconds"]),
                body=body,
            )
        except (KeyError, TypeError) as exc:
            raise ValueError("That describes no release.") from exc

    @property
    def is_alive(self) -> bool:
        """Whether its controller is at work."""
        return not self.ended and self.age_seconds < ALIVE_SECONDS

    def may_be_taken_back(self, *, done_too: bool) -> bool:
        """Whether there is something to take back: it runs, or it is done and that counts."""
        return not self.ended or (done_too and self.phase == "done")


def newest(settings: OperatorSettings) -> Reported | None:
    """The newest release that the app knows; None where it knows none or does not answer."""
    found = ask_app(settings, "GET", "/admin/releases")
    for body in (found or {}).get("releases", []):
        with suppress(ValueError):
            return Reported.from_json(body)
    return None


def one(settings: OperatorSettings, release_id: str) -> Reported | None:
    """That release, if the app knows it."""
    found = ask_app(settings, "GET", f"/admin/releases/{release_id}")
    try:
        return None if found is None else Reported.from_json(found)
    except ValueError:
        return None


def ask(settings: OperatorSettings, release_id: str, kind: str, why: str) -> bool:
    """Ask a release on another machine to `abort`, `pause`, `resume` or `promote`."""
    said = " ".join(why.split())[:200]
    body = {"request": {"kind": kind, "why": said, "who": whoami()}}
    return ask_app(settings, "PUT", f"/admin/releases/{release_id}", body) is not None


def abort(
    settings: OperatorSettings, release: Reported, why: str, say: Callable[[str], None]
) -> Reported | None:
    """Ask it to take itself back, and wait until it has; None if it does not react in time."""
    if not ask(settings, release.id, "abort", why):
        return None
    say(f"Asked the controller of {release.who} to take {release.version} back; waiting for it.")
    deadline = time.monotonic() + ALIVE_SECONDS
    while time.monotonic() < deadline:
        found = one(settings, release.id)
        if found is not None and found.ended:
            return found
        if found is not None and found.phase == "rolling_back" and found.is_alive:
            deadline = time.monotonic() + ALIVE_SECONDS
        time.sleep(_POLL_SECONDS)
    say(f"It did not react within {ALIVE_SECONDS:g} s; taking over.")
    return None


def ask_app(
    settings: OperatorSettings, method: str, path: str, body: Any = None
) -> dict[str, Any] | None:
    """The answer of the first colour that takes it; None: none did, or none can be asked."""
    try:
        colours, token = list(settings.colours.values()), settings.token()
    except MinaOpsError:
        return None
    for colour in colours:
        try:
            with AppClient(colour.name, colour.url, token=token) as app:
                status, answer = app.request(method, path, body=body, admin=True)
        except MinaOpsError:
            continue
        if status < 300 and isinstance(answer, dict):
            return answer
    return None
