"""Gives migrations that use `current_app` the host's Flask app, as `flask db` does.

The app is loaded only if a migration names `current_app` and FLASK_APP says which app that is.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mina_ops.errors import ConfigurationError

if TYPE_CHECKING:
    from flask import Flask

VARIABLE = "FLASK_APP"
ADVICE = f"it asks the app; set {VARIABLE}, as for `flask db`, and try again"
_ASKS = "current_app"


@contextmanager
def around(source: str, environ: Mapping[str, str] | None = None) -> Iterator[None]:
    """Within it `current_app` is the host's app, if a migration of that source asks for it.

    Raises:
        ConfigurationError: FLASK_APP is set and cannot be loaded.
    """
    name = (os.environ if environ is None else environ).get(VARIABLE, "").strip()
    if _ASKS not in source or not name:
        yield
        return
    with _loaded(name).app_context():
        yield


def _loaded(name: str) -> Flask:
    from flask.cli import ScriptInfo

    try:
        return ScriptInfo(app_import_path=name).load_app()
    except Exception as exc:  # whatever the host's own modules raise
        reason = str(exc).strip().splitlines()[0] if str(exc).strip() else type(exc).__name__
        raise ConfigurationError(
            f"{VARIABLE}={name} cannot be loaded ({reason}); mend it, or judge the migration by "
            "hand and say --reviewed REVISION."
        ) from exc
