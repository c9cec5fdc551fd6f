"""Make the colours read their secrets again, one after the other, and prove that they did."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mina_ops.errors import AppUnhealthy, ConfigurationError, MinaOpsError, OperatorError
from mina_ops.operator.api.client import AppClient
from mina_ops.operator.config.colours import Colour
from mina_ops.operator.config.settings import OperatorSettings
from mina_ops.operator.system import programs

_RELOAD_SECONDS = 120.0
_POLL_SECONDS = 0.1
# Requests go to any process of an instance. If one of two still had the old secrets, this many
# right answers in a row would come by chance in 1 of 64 cases.
_IN_A_ROW = 6


class Colours:
    """Both colours, reloaded by a command and asked over HTTP.

    Args:
        reload_argv: the command; `{colour}` is replaced.
        settle_seconds: how long a colour may take to be ready again.
        only: the colours that run; default: all of the settings.
    """

    def __init__(
        self,
        settings: OperatorSettings,
        reload_argv: tuple[str, ...],
        *,
        settle_seconds: float = 60.0,
        only: tuple[str, ...] = (),
    ) -> None:
        if not reload_argv:
            raise ConfigurationError(
                "incident.secrets.reload is not set; it is the command that makes a colour read "
                "its secrets again, as ['systemctl', 'reload', 'mina-{colour}']."
            )
        self._settings = settings
        self._argv = reload_argv
        self._settle_seconds = settle_seconds
        self._names = only or tuple(settings.colours)

    def reload(self) -> None:
        """Reload each colour in turn; the next one only when this one is ready with new processes.

        Raises:
            OperatorError: the command failed.
            AppUnhealthy: a colour was not ready again in time.
        """
        for name in self._names:
            colour = self._settings.colour(name)
            begun = time.monotonic()
            argv = [part.replace("{colour}", colour.name) for part in self._argv]
            result = programs.run(argv, timeout_seconds=_RELOAD_SECONDS)
            if not result.ok:
                raise OperatorError(
                    f"`{programs.quoted(argv)}` ended with {result.code}: {result.last_line()}"
                )
            self._await(colour, lambda client, at=begun: _is_new(client, at), "ready again")  # type: ignore[misc]

    def require_healthy(self, token: str | None = None) -> None:
        """Wait until every instance is healthy and, if one is given, takes the token.

        Raises:
            AppUnhealthy: one was not in time; says which.
        """
        for name in self._names:
            colour = self._settings.colour(name)
            self._await(colour, lambda client: client.health().healthy, "healthy")
            if token is not None:
                self._await(colour, _is_let_in, "taking the new token", token)

    def require_refused(self, token: str) -> None:
        """Wait until every instance refuses a token.

        Raises:
            AppUnhealthy: one still takes it; says which.
        """
        for name in self._names:
            colour = self._settings.colour(name)
            self._await(
                colour, lambda client: not _is_let_in(client), "refusing the old token", token
            )

    def _await(
        self,
        colour: Colour,
        holds: Callable[[AppClient], bool],
        what: str,
        token: str | None = None,
    ) -> None:
        for client in self._clients(colour, token):
            deadline = time.monotonic() + self._settle_seconds
            in_a_row = 0
            while in_a_row < _IN_A_ROW:
                try:
                    in_a_row = in_a_row + 1 if holds(client) else 0
                except MinaOpsError:
                    in_a_row = 0
                if in_a_row == 0 and time.monotonic() > deadline:
                    raise AppUnhealthy(
                        f"{client.name} was not {what} within {self._settle_seconds:g} s."
                    )
                if in_a_row == 0:
                    time.sleep(_POLL_SECONDS)

    def _clients(self, colour: Colour, token: str | None) -> Iterator[AppClient]:
        listed = {f"{colour.name} {name}": url for name, url in colour.processes.items()}
        addresses = listed or {colour.name: colour.url}
        for name, url in addresses.items():
            with _client(name, url, token) as client:
                yield client


@contextmanager
def _client(name: str, url: str, token: str | None) -> Iterator[AppClient]:
    with AppClient(name, url, token=token) as client:
        yield client


def _is_new(client: AppClient, since: float) -> bool:
    status, body = client.request("GET", "/api/health/live")
    uptime = body.get("uptime_seconds") if isinstance(body, dict) else None
    is_new = not isinstance(uptime, int | float) or uptime <= time.monotonic() - since + 0.5
    return status == 200 and is_new and client.ready().ready


def _is_let_in(client: AppClient) -> bool:
    status, _ = client.request("GET", "/admin/drain", admin=True)
    return status not in (401, 403)
