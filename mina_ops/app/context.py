"""What every component of one app is given."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Flask

from mina_ops.app.admin.audit import Audit
from mina_ops.app.admin.auth import Guard
from mina_ops.app.clock import Clock
from mina_ops.app.database.connection import OwnConnection
from mina_ops.app.heartbeat import Heartbeat
from mina_ops.app.identity import Identity
from mina_ops.app.settings import Settings
from mina_ops.app.state.base import Store
from mina_ops.app.state.presence import Presence


@dataclass(frozen=True)
class Context:
    """One app and what its components stand on. `mina_ops.app.extension` makes it, once.

    Attributes:
        app: the host's app.
        settings: its `MINA_OPS_*` settings.
        identity: its colour, release and process.
        clock: the time that is shared, and this process's own.
        store: what all processes of both colours share.
        presence: who of them is alive, and what each says of itself.
        database: our own connection to the app's database; it may not exist.
        heartbeat: the background loop; `start()` it where a process may have served no request.
        guard: who may act.
        audit: the record of who did.
    """

    app: Flask
    settings: Settings
    identity: Identity
    clock: Clock
    store: Store
    presence: Presence
    database: OwnConnection
    heartbeat: Heartbeat
    guard: Guard
    audit: Audit
