"""Finds out for whom a flag is asked in the present request: a user's id and attributes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from flask import session

from mina_ops.app.admin.auth import logged_in_user
from mina_ops.errors import UserUnavailable


@dataclass(frozen=True, slots=True)
class Caller:
    """A unit (None: a guest) and the attributes that rules look at."""

    unit: str | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)


class Callers:
    """Finds the present caller: Flask-Login's user, or what the host says."""

    def __init__(self) -> None:
        self._find: Callable[[], Caller] = _user

    def found_by(self, find: Callable[[], Caller]) -> Callable[[], Caller]:
        """Ask the host's function instead; usable as a decorator."""
        self._find = find
        return find

    def present(self) -> Caller:
        """The caller of the present request; a guest outside any."""
        return self._find()


def _user() -> Caller:
    try:
        user = logged_in_user()
    except UserUnavailable:
        # While the host's database is away; whose session it is will do for a flag.
        known = session.get("_user_id")
        return Caller() if known is None else Caller(str(known))
    return Caller() if user is None else Caller(str(user.get_id()))
