"""For commands that also serve without a mina-ops.toml: a table of it, or an empty one."""

from __future__ import annotations

import os
from pathlib import Path

from mina_ops.cli.session import Session
from mina_ops.operator.config.settings import CONFIG_VARIABLE, FILE_NAME, OperatorSettings
from mina_ops.operator.config.tables import Table


def settings(session: Session) -> OperatorSettings | None:
    """The settings; None if no file was named and none lies here.

    Raises:
        ConfigurationError: there is a file that cannot be used, or the named one is missing.
    """
    named = session.config_path or os.environ.get(CONFIG_VARIABLE)
    if not named and not Path(FILE_NAME).is_file():
        return None
    return session.settings


def colours(session: Session) -> OperatorSettings | None:
    """The settings if they name colours, so that these can be asked; else None."""
    found = settings(session)
    return found if found is not None and "colours" in found.raw else None


def table(session: Session, *names: str) -> Table:
    """A table of the settings by its path; an empty one without settings."""
    found = settings(session)
    if found is None:
        return Table(Path(FILE_NAME).absolute(), ".".join(names), {})
    return found.section(*names)
