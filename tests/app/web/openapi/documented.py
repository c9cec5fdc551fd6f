"""The document of an app with every component, without starting one."""

from __future__ import annotations

from typing import Any

from mina_ops.app.admin.clash_routes import contract as clashes
from mina_ops.app.admin.contract import contract as admin
from mina_ops.app.admin.token_contract import contract as tokens
from mina_ops.app.drain.contract import contract as drain
from mina_ops.app.flags.contract import contract as flags
from mina_ops.app.flags.ofrep_contract import contract as ofrep
from mina_ops.app.health.contract import contract as health
from mina_ops.app.leases.contract import contract as leases
from mina_ops.app.login.contract import NONE as NO_LOGIN
from mina_ops.app.login.contract import contract as login
from mina_ops.app.metrics.contract import contract as metrics
from mina_ops.app.releases.contract import contract as releases
from mina_ops.app.releases.freeze_routes import contract as freeze
from mina_ops.app.sessions.contract import contract as sessions
from mina_ops.app.web.openapi.document import document
from mina_ops.app.web.openapi.operations import Contract

COLOURS = ("blue", "green")


def whole(*, with_optional: bool = True) -> dict[str, Any]:
    """The document; `with_optional=False` is that of the default settings."""
    parts = [health(), metrics(COLOURS, "blue", "/metrics"), sessions(COLOURS, "blue")]
    parts += [
        flags(),
        drain(),
        releases(),
        freeze(),
        leases(),
        admin(),
        tokens(),
        clashes(),
        *([ofrep(), login()] if with_optional else [Contract(notes=(NO_LOGIN,))]),
    ]
    return document("v2.4.5", parts)


def operations(*, with_optional: bool = True) -> list[tuple[str, str]]:
    """Method and path of each of its operations."""
    paths = whole(with_optional=with_optional)["paths"]
    return [(method, path) for path, item in paths.items() for method in item]
