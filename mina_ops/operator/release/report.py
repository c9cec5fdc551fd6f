"""Reports how a release stands: to a file for other terminals, and to the app for everybody."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from mina_ops import files
from mina_ops.errors import MinaOpsError
from mina_ops.operator.api.client import AppClient
from mina_ops.operator.release.control import KINDS
from mina_ops.operator.release.model import Phase
from mina_ops.operator.release.release import Observer, Release
from mina_ops.operator.release.verdicts.model import Figures, Judgement
from mina_ops.operator.release.verdicts.statistics import quantile
from mina_ops.operator.system.people import whoami
from mina_ops.operator.traffic.model import Split

FILE = "state.json"
REPORTS = (
    "POST, PUT and DELETE /admin/leases/site of a colour, every 10 s",
    "PUT /admin/releases/ID of a colour, every 2 s",
)
_BEAT_SECONDS = 1.0
_APP_EVERY_BEATS = 2
_LINES_KEPT = 12


class Report(Observer):
    """An observer that hands on what it sees, and reports it each second while it is entered.

    The app's answer may hold requests of others, from any machine; they are asked of the release
    as if somebody here had.
    """

    def __init__(self, release: Release, view: Observer) -> None:
        self._release = release
        self._view = view
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._asked: set[str] = set()
        self._state: dict[str, Any] = {
            "id": release.journal.release_id,
            "version": release.version,
            "from": release.old.name,
            "to": release.new.name,
            "who": whoami(),
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "phase": str(release.journal.progress().phase),
            "percent": release.journal.progress().percent,
            "started_at": time.time(),
            "paused": False,
            "seconds_left": None,
            "colours": {},
            "verdicts": [],
            "lines": [],
        }
        self._thread = threading.Thread(target=self._run, name="mina_ops-report", daemon=True)

    def __enter__(self) -> Report:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(10.0)
        self._send(to_app=True)

    def phase(self, phase: Phase, text: str) -> None:
        self._note(f"{phase}: {text}", phase=str(phase), seconds_left=None)
        self._view.phase(phase, text)

    def output(self, phase: Phase, line: str) -> None:
        self._view.output(phase, line)

    def split(self, split: Split) -> None:
        percent = split.percent[self._release.new.name]
        self._note(f"traffic: {split.describe()}", percent=percent, seconds=0.0)
        self._view.split(split)

    def look(self, new: Figures, old: Figures, judgement: Judgement, seconds: float) -> None:
        verdicts = [
            {"trigger": f.trigger, "verdict": str(f.verdict), "reason": f.reason}
            for f in judgement.findings
        ]
        colours = {self._release.new.name: shown(new), self._release.old.name: shown(old)}
        with self._lock:
            self._state |= {"colours": colours, "verdicts": verdicts, "seconds": round(seconds, 1)}
            self._state["response"] = str(judgement.response)
            self._state["reasons"] = judgement.reasons if judgement.asking else []
        self._view.look(new, old, judgement, seconds)

    def drain(self, colour: str, remaining: int | None) -> None:
        with self._lock:
            self._state["draining"] = {"colour": colour, "remaining": remaining}
        self._view.drain(colour, remaining)

    def stays(self, seconds_left: float | None, *, paused: bool) -> None:
        left = None if seconds_left is None else round(seconds_left, 1)
        with self._lock:
            self._state |= {"seconds_left": left, "paused": paused}
        self._view.stays(seconds_left, paused=paused)

    def state(self) -> dict[str, Any]:
        """How it stands now, as it is reported."""
        with self._lock:
            state = {**self._state, "heartbeat": time.time(), "ended": False}
        # A journal that cannot be read must not take the view with it.
        with suppress(MinaOpsError, OSError):
            progress = self._release.journal.progress()
            state |= {"phase": str(progress.phase), "percent": progress.percent}
            state["ended"] = progress.ended
        return state

    def _note(self, line: str, **values: Any) -> None:
        with self._lock:
            stamped = [*self._state["lines"], f"{time.strftime('%H:%M:%S')} {line}"]
            self._state |= {**values, "lines": stamped[-_LINES_KEPT:]}

    def _run(self) -> None:
        beats = 0
        while not self._stop.wait(_BEAT_SECONDS):
            beats += 1
            # Whatever fails here must not end the reports, and never the release.
            with suppress(Exception):
                self._send(to_app=beats % _APP_EVERY_BEATS == 0)

    def _send(self, *, to_app: bool) -> None:
        state = self.state()
        with suppress(files.NotWritten):
            files.write(self._release.journal.folder / FILE, json.dumps(state))
        if to_app:
            self._to_app(state)

    def _to_app(self, state: Mapping[str, Any]) -> None:
        body = {key: value for key, value in state.items() if key not in ("id", "heartbeat")}
        for colour in (self._release.old, self._release.new):
            with suppress(MinaOpsError):
                token = self._release.settings.token()
                with AppClient(colour.name, colour.url, token=token, answer_seconds=2.0) as app:
                    path = f"/admin/releases/{state['id']}"
                    status, answer = app.request("PUT", path, body=body, admin=True)
                if status < 300:
                    self._take_requests(answer)
                    return

    def _take_requests(self, answer: Any) -> None:
        requests = answer.get("requests", []) if isinstance(answer, Mapping) else []
        for request in requests:
            known = str(request.get("id"))
            if request.get("kind") in KINDS and known not in self._asked:
                self._asked.add(known)
                self._release.control.ask(
                    str(request["kind"]), str(request.get("why", "")), who=str(request.get("who"))
                )


def shown(figures: Figures) -> dict[str, Any]:
    """A colour's figures as they are shown: rates in percent, P95 in ms, None where unknown."""
    shaken = figures.handshakes
    tried = shaken.accepted + shaken.failed
    return {
        "requests": figures.requests,
        "errors": figures.errors,
        "error_percent": round(100 * figures.errors / figures.requests, 2)
        if figures.requests
        else None,
        "p95_ms": quantile(figures.histogram, 0.95),
        "handshakes": tried,
        "handshakes_failed": shaken.failed,
        "database_ms": figures.database_ms,
        "stale": figures.stale,
        "fault": figures.fault,
    }


def read(folder: Any) -> dict[str, Any] | None:
    """What a release reported last into its folder; None if it did not."""
    try:
        found = json.loads((folder / FILE).read_bytes())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None
