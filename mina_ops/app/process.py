"""The kind of a process: it serves requests, works beside them, or runs a command."""

from __future__ import annotations

from enum import StrEnum

import click
from flask.cli import FlaskGroup

from mina_ops.app.forks import call_in_children
from mina_ops.errors import ConfigurationError


class Kind(StrEnum):
    """The kinds of processes. A kill waits for the first two; drains and readiness for `web`."""

    WEB = "web"
    """Serves requests."""
    WORKER = "worker"
    """Asks flags or tells outcomes without serving: Celery, a queue's consumer, a script."""
    COMMAND = "command"
    """`flask db upgrade`, `flask shell`: follows the flags, and nobody hears of it."""


EVERY_KIND = frozenset(Kind)


class Process:
    """The kind of this process, as far as it has shown.

    Args:
        chosen: what the setting says; None: whoever serves a request is `web`, and of the others
            those that the `flask` command runs are `command`.

    Raises:
        ConfigurationError: there is no such kind.
    """

    def __init__(self, chosen: str | None = None) -> None:
        if chosen is not None and chosen not in EVERY_KIND:
            kinds = ", ".join(Kind)
            raise ConfigurationError(f"MINA_OPS_PROCESS_KIND: {chosen!r} is none of {kinds}.")
        self._chosen = None if chosen is None else Kind(chosen)
        self._forget_parent()
        call_in_children(self._forget_parent)

    def serves(self) -> None:
        """It serves a request."""
        self.kind = self._chosen or Kind.WEB

    def works(self) -> None:
        """It asked for a flag or told an outcome, and has served no request."""
        self.kind = self._chosen or (Kind.COMMAND if _runs_a_command() else Kind.WORKER)

    def _forget_parent(self) -> None:
        self.kind = self._chosen or Kind.WEB


def _runs_a_command() -> bool:
    """Whether the `flask` command runs, unless it is about to serve."""
    context = click.get_current_context(silent=True)
    if context is None or not isinstance(context.find_root().command, FlaskGroup):
        return False
    return context.info_name != "run"
