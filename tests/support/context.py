"""A context for tests of one component, without an extension around it."""

from __future__ import annotations

from typing import Any

from flask import Flask

from mina_ops.app import settings
from mina_ops.app.context import Context
from mina_ops.app.extension import make_context


def context_of(app: Flask | None = None, **config: Any) -> Context:
    """The context of an app (default: a bare one) with these settings and no environment."""
    return make_context(app or Flask("test"), settings.load(config, {}))
