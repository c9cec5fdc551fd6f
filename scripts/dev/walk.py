#!/usr/bin/env python3
"""Count what a request walks through: functions, files and changes of file of mina_ops.

    .venv/bin/python scripts/dev/walk.py [--json] [--list] [PATH_OF_ANOTHER_CHECKOUT]

Two requests are walked with `sys.setprofile`, in the thread that serves them, while the background
loop rests: `POST /admin/drain` where no session is there, and one change of a flag. A change of
file is a call from one file of ours into another one; few of them mean that a flow can be read in
one place. Another checkout (`git worktree add PATH COMMIT`) is walked by the same script.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

TOKEN = {"Authorization": "Bearer walk"}


@dataclass
class Walk:
    """What one request passed."""

    root: str
    functions: set[tuple[str, str]] = field(default_factory=set)
    steps: list[str] = field(default_factory=list)
    changes: int = 0

    def __call__(self, frame: FrameType, event: str, _: Any) -> None:
        file = frame.f_code.co_filename
        if event != "call" or not file.startswith(self.root):
            return
        if self.steps and self.steps[-1] != file:
            self.changes += 1
        self.steps.append(file)
        self.functions.add((file, frame.f_code.co_qualname))

    def to_json(self) -> dict[str, int]:
        """Its figures."""
        files = {file for file, _ in self.functions}
        return {"files": len(files), "functions": len(self.functions), "changes": self.changes}


def walk() -> dict[str, Walk]:
    """Walk both requests in an app without Redis and database."""
    from flask import Flask
    from flask_socketio import SocketIO

    import mina_ops

    app = Flask("walk")
    app.config["MINA_OPS_ADMIN_TOKENS"] = {"walk": hashlib.sha256(b"walk").hexdigest()}
    app.config["MINA_OPS_DRAIN_ON_SIGTERM"] = False
    mina_ops.MinaOps(app, socketio=SocketIO(app, async_mode="threading"))
    client = app.test_client()
    root = f"{Path(mina_ops.__file__).parent}/"
    asked = {
        "a flag change": ("/admin/flags", {"key": "audio", "enabled": True}),
        "POST /admin/drain": ("/admin/drain", {}),
    }
    for path, _ in asked.values():
        client.get(path, headers=TOKEN)  # what only the first request does is left out
    _finish_starting(app.extensions["mina_ops"].heartbeat)
    return {name: _walked(client, root, *request) for name, request in asked.items()}


def _finish_starting(heartbeat: Any) -> None:
    """Let the background loop begin, so that hints are heard, and end it.

    Otherwise chance decides which of the two threads does a step that both may do.
    """
    deadline = time.monotonic() + 10
    while heartbeat.beats == 0 and time.monotonic() < deadline:
        time.sleep(0.01)
    heartbeat.stop()
    time.sleep(1.5)  # a beat lasts a second; older checkouts cannot be waited for


def _walked(client: Any, root: str, path: str, body: dict[str, Any]) -> Walk:
    found = Walk(root)
    sys.setprofile(found)
    try:
        answer = client.post(path, json=body, headers=TOKEN)
    finally:
        sys.setprofile(None)
    if answer.status_code >= 300:
        raise SystemExit(f"{path} answers {answer.status_code}: {answer.text}")
    return found


def main() -> None:
    """Print the figures, of another checkout as well if one is named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkout", nargs="?", type=Path, help="walk this one, too")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument("--list", action="store_true", help="name each file in its turn")
    chosen = parser.parse_args()
    walks = walk()
    figures = {"here": {name: found.to_json() for name, found in walks.items()}}
    if chosen.checkout is not None:
        figures[str(chosen.checkout)] = _of(chosen.checkout)
    if chosen.json:
        print(json.dumps(figures))
        return
    for where, found in figures.items():
        for name, numbers in found.items():
            print(f"{where}: {name}: " + ", ".join(f"{n} {what}" for what, n in numbers.items()))
    if chosen.list:
        for name, found in walks.items():
            print(f"\n{name}")
            print("\n".join(step.removeprefix(found.root) for step in found.steps))


def _of(checkout: Path) -> dict[str, dict[str, int]]:
    command = [sys.executable, __file__, "--json"]
    environ = {"PYTHONPATH": str(checkout), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
    found: dict[str, dict[str, int]] = json.loads(done.stdout)["here"]
    return found


if __name__ == "__main__":
    main()
