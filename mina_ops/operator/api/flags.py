"""The flag endpoints of whichever colour answers: both share the same flags."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self
from urllib.parse import quote, urlencode

from mina_ops.errors import AccessDenied, AppUnhealthy, AppUnreachable, OperatorError
from mina_ops.operator.api.client import AppClient
from mina_ops.operator.config.settings import OperatorSettings

CONFIRM_SECONDS = 5.0
"""How long a change may wait for every process to apply it."""

_BATCH_BYTES = 500_000
_BATCH_FLAGS = 1_000
_ACTS = "/admin/flags/-"


class FlagsClient:
    """Reads and changes flags through one colour.

    Methods raise AccessDenied (no valid token), AppUnhealthy (the shared state is away),
    AppUnreachable and, for what the app refuses, OperatorError with the app's own words.
    """

    def __init__(self, app: AppClient) -> None:
        self.app = app

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.app.close()

    def all(self, *, prefix: str = "", release: str | None = None) -> dict[str, Any]:
        """`flags` (all fields), and how fresh they are."""
        query = {"prefix": prefix} | ({} if release is None else {"release": release})
        return self._ask("GET", f"/admin/flags?{urlencode(query)}")

    def get(self, key: str) -> dict[str, Any] | None:
        """A flag's fields; None: there is none."""
        found = self.read(key)
        return None if found is None else found[0]

    def existing(self, key: str) -> dict[str, Any]:
        """A flag's fields.

        Raises:
            OperatorError: there is no such flag.
        """
        found = self.get(key)
        if found is None:
            raise OperatorError(f"There is no flag {key}; `mina-ops flags list` shows all.")
        return found

    def read(self, key: str) -> tuple[dict[str, Any], str] | None:
        """A flag's fields and its revision, for `set_if`; None: there is none."""
        status, body, headers = self.app.exchange("GET", _path(key), admin=True)
        if status == 404:
            return None
        found = self._checked("GET", _path(key), status, body)
        # In the body as well, since what compresses answers changes or drops the header.
        revision = found.pop("revision", None)
        return found, headers.get("ETag", "") if revision is None else f'"{revision}"'

    def set(
        self, key: str, values: Mapping[str, Any], *, confirm_seconds: float | None = None
    ) -> dict[str, Any]:
        """Set some fields; the others stay. The answer tells who has applied it."""
        return self._ask(
            "POST", "/admin/flags", _confirming({"key": key, **values}, confirm_seconds)
        )

    def set_if(self, key: str, values: Mapping[str, Any], revision: str) -> dict[str, Any] | None:
        """Set some fields of the flag as it was read; None: it was changed since."""
        status, body, _ = self.app.exchange(
            "POST",
            "/admin/flags",
            body={"key": key, **values},
            admin=True,
            headers={"If-Match": revision},
        )
        return None if status == 412 else self._checked("POST", "/admin/flags", status, body)

    def delete(self, key: str) -> dict[str, Any]:
        """Delete a flag."""
        return self._ask("DELETE", _path(key))

    def history(self, key: str | None, limit: int) -> list[dict[str, Any]]:
        """The newest changes of a flag, or of all."""
        path = f"{_ACTS}/history" if key is None else f"{_path(key)}/history"
        changes: list[dict[str, Any]] = self._ask("GET", f"{path}?limit={limit}")["changes"]
        return changes

    def undo(self, key: str | None, change: str | None) -> dict[str, Any]:
        """Put back the state before a flag's last change, or before the named change."""
        path = f"{_ACTS}/undo" if key is None else f"{_path(key)}/undo"
        return self._ask("POST", path, {} if change is None else {"change": change})

    def disable_for_release(
        self, release: str, *, confirm_seconds: float | None = None
    ) -> dict[str, Any]:
        """Turn off all that a release brought, in one step."""
        body = _confirming({"release": release}, confirm_seconds)
        return self._ask("POST", f"{_ACTS}/disable-for-release", body)

    def export(self) -> dict[str, Any]:
        """All flags as `load` takes them."""
        return self._ask("GET", f"{_ACTS}/export")

    def load(self, flags: Sequence[Mapping[str, Any]]) -> list[str]:
        """Make flags what an export says; the keys that changed. Atomic for each 1,000 flags."""
        changed: list[str] = []
        for batch in _batches(flags):
            changed += self._ask("POST", f"{_ACTS}/import", {"flags": batch})["changed"]
        return changed

    def report(self, days: float) -> list[dict[str, Any]]:
        """Flags that somebody should look at."""
        found: list[dict[str, Any]] = self._ask("GET", f"{_ACTS}/report?days={days:g}")["findings"]
        return found

    def recover(self, *, restore: bool) -> dict[str, Any]:
        """Settle a loss of the store: write back what that process knows, or forget it."""
        action = "restore" if restore else "discard"
        return self._ask("POST", f"{_ACTS}/recover", {"action": action})

    def audit(self, limit: int) -> list[dict[str, Any]]:
        """The newest entries of the audit log."""
        entries: list[dict[str, Any]] = self._ask("GET", f"/admin/audit?limit={limit}")["entries"]
        return entries

    def _ask(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        status, answer = self.app.request(method, path, body=body, admin=True)
        return self._checked(method, path, status, answer)

    def _checked(self, method: str, path: str, status: int, body: Any) -> dict[str, Any]:
        name = self.app.name
        detail = body.get("detail") if isinstance(body, dict) else None
        if status in (401, 403, 429):
            raise AccessDenied(
                f"{name} answers {status}: {detail or 'this needs an admin token'} "
                "Set the variable that token.env names."
            )
        if status == 503:
            raise AppUnhealthy(f"{name} cannot do that now: {detail or 'no reason given'}")
        if not 200 <= status < 300:
            raise OperatorError(f"{name} refuses {method} {path}: {detail or status}")
        if not isinstance(body, dict):
            raise AppUnreachable(f"What {name} answers at {path} is no JSON object.")
        return body


def open_client(settings: OperatorSettings, colour: str | None = None) -> FlagsClient:
    """A client of the named colour, or of the first that answers.

    Raises:
        ConfigurationError: there is no such colour.
        AppUnreachable: none answers; the message is that of the last one.
    """
    return next(_answering(settings, [colour] if colour is not None else list(settings.colours)))


def open_busiest(settings: OperatorSettings) -> FlagsClient:
    """A client of the colour that had the most requests lately; raises AppUnreachable."""
    clients = list(_answering(settings, list(settings.colours)))
    clients.sort(key=lambda client: _requests(client.app))  # stable: the first of equals wins
    for other in clients[1:]:
        other.app.close()
    return clients[0]


def _answering(settings: OperatorSettings, names: Sequence[str]) -> Iterator[FlagsClient]:
    failure: AppUnreachable | None = None
    found = False
    for name in names:
        app = _app(settings, name)
        try:
            app.request("GET", "/api/health/live")
        except AppUnreachable as exc:
            app.close()
            failure = exc
        else:
            found = True
            yield FlagsClient(app)
    if not found:
        raise failure or AppUnreachable("No colour is configured.")


def _app(settings: OperatorSettings, name: str) -> AppClient:
    found = settings.colour(name)
    return AppClient(
        found.name, found.url, token=settings.token(), answer_seconds=CONFIRM_SECONDS + 5.0
    )


def _requests(app: AppClient) -> float:
    """Minus its requests of the last minute, so that the busiest sorts first."""
    try:
        return -float(app.metric("errors", window_seconds=60).get("requests") or 0)
    except OperatorError:
        return 0.0


def require_confirmed(answer: Mapping[str, Any]) -> None:
    """Refuse a change that some process has not applied; raises AppUnhealthy, naming it."""
    if answer.get("confirmed") is False:
        names = ", ".join(answer.get("waiting_for", ())) or "some process"
        raise AppUnhealthy(f"The change is stored, but was not applied in time by {names}.")


def _path(key: str) -> str:
    return f"/admin/flags/{quote(key, safe='')}"


def _confirming(body: dict[str, Any], seconds: float | None) -> dict[str, Any]:
    return body if seconds is None else {**body, "confirm_seconds": seconds}


def _batches(flags: Sequence[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    batches: list[list[Mapping[str, Any]]] = []
    size = _BATCH_BYTES
    for flag in flags:
        length = len(repr(flag))
        if size + length > _BATCH_BYTES or len(batches[-1]) >= _BATCH_FLAGS:
            batches.append([])
            size = 0
        batches[-1].append(flag)
        size += length
    return batches
