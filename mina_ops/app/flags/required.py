"""A view that exists only while a flag is on."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from flask import abort, current_app

_P = ParamSpec("_P")
_T = TypeVar("_T")


def flag_required(key: str) -> Callable[[Callable[_P, _T]], Callable[_P, _T]]:
    """Answer 404 unless the flag is on for the caller; goes below ``@app.route``.

    The caller is Flask-Login's user, or what ``flags.callers.found_by`` says.
    """

    def decorate(view: Callable[_P, _T]) -> Callable[_P, _T]:
        @wraps(view)
        def guarded(*args: _P.args, **kwargs: _P.kwargs) -> _T:
            flags = current_app.extensions["mina_ops"].flags
            caller = flags.callers.present()
            if not flags.is_enabled(key, caller.unit, **caller.attributes):
                abort(404)
            answer: _T = current_app.ensure_sync(view)(*args, **kwargs)
            return answer

        return guarded

    return decorate
