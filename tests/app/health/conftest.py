"""A small host app in this process, whose health is looked at through its own client."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from flask_socketio import SocketIO

from mina_ops import MinaOps
from tests.support.wait import eventually

QUICK = {"MINA_OPS_BEAT": 0.02, "MINA_OPS_HEALTH_INTERVAL": 0.05, "MINA_OPS_HEALTH_NEEDED": 1}


@dataclass
class Host:
    """An app, its mina_ops and a client."""

    app: Flask
    ops: MinaOps
    client: FlaskClient

    def get(self, path: str = "", **headers: str) -> tuple[int, dict[str, Any]]:
        """Status and body of a path below /api/health."""
        answer = self.client.get(f"/api/health{path}", headers=headers)
        body = answer.get_json(force=True)
        assert isinstance(body, dict)
        return answer.status_code, body

    def started(self) -> Host:
        """The same, when its first round of checks is over, and none of them was held up."""
        eventually(lambda: self.get("/started")[0] == 200 and not self._held_up())
        return self

    def _held_up(self) -> bool:
        checks = self.get("?verbose")[1]["checks"].values()
        return any(check.get("error") == "timeout" for check in checks)


MakeHost = Callable[..., Host]


@pytest.fixture
def make_host() -> Iterator[MakeHost]:
    """Makes a host: `make_host(db=db, prepare=function_of_app, SOME_KEY=value)`."""
    made: list[Flask] = []

    def make(
        *, db: Any = None, prepare: Callable[[Flask], object] | None = None, **config: Any
    ) -> Host:
        app = Flask(__name__)
        app.config.update({**QUICK, "SECRET_KEY": "k", **config})
        if prepare is not None:
            prepare(app)
        socketio = SocketIO(app, async_mode="threading")
        ops = MinaOps(app, socketio=socketio, db=db)
        made.append(app)
        return Host(app, ops, app.test_client())

    yield make
    for app in made:
        app.extensions["mina_ops"].heartbeat.stop()
