"""`GET /admin/openapi.json`: the HTTP contract as an OpenAPI 3.1 document.

Served to everyone: it holds no secret, and tools that read it seldom log in.
"""

from __future__ import annotations

from typing import Any

from mina_ops.app.settings import Settings
from mina_ops.app.web.openapi.paths import paths
from mina_ops.app.web.openapi.schemas import SCHEMAS

PATH = "/admin/openapi.json"

_ABOUT = """\
Errors are problem details (RFC 9457). GET endpoints answer HEAD. Rates are percent; what has no
data is null, with `samples` 0. A JSON body is read as JSON whatever its content type says.
"""


def document(settings: Settings) -> dict[str, Any]:
    """The document of an app with these settings."""
    colours = list(dict.fromkeys((*settings.colours, settings.environment)))
    return {
        "openapi": "3.1.0",
        "info": {"title": "mina_ops", "version": settings.version, "description": _ABOUT},
        "paths": paths(colours, settings.prometheus_path),
        "components": {
            "schemas": dict(SCHEMAS),
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": "session"},
            },
        },
    }
