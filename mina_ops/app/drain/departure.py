"""How far one session is on its way out."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Event

from mina_ops.app.sessions.session import Session


@dataclass
class Departure:
    """A session on its way out."""

    session: Session
    asked_at: float
    waited_for: set[int]
    """Handlers that ran when it was asked, or when it answered: those are let end."""
    is_answered: bool = False
    has_had_its_time: bool = False
    quiet_since: float | None = None
    settling_since: float | None = None
    closing: Event | None = None
    closing_since: float = 0.0
    closed_at: float | None = None
    has_taken_all: bool = True
    """Whether nothing waited to be sent when it was closed."""
