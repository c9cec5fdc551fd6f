"""Who may change a site: a lease in the store that its colours share.

It works from any machine and any folder, since every controller of a site asks the same app.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlencode

from mina_ops.errors import AccessDenied, AppUnhealthy, AppUnreachable, OperatorError
from mina_ops.operator.api.client import AppClient
from mina_ops.operator.config.colours import Colour
from mina_ops.operator.config.settings import OperatorSettings

SITE = "site"
"""The lease of whoever moves a site's traffic: a switch, a release, a rollback."""
TTL_SECONDS = 30.0
_HELD_BY_ANOTHER = (409, 412)


@dataclass(frozen=True)
class Holder:
    """Who holds a lease.

    Attributes:
        id: 8 to 64 letters, digits, '_' and '-'; whoever knows it holds the lease.
        purpose, user, host, pid: for people.
        since: Unix time at which it was taken, by the clock of whoever keeps it.
        ttl_seconds: 1 to 3600; this long after the last renewal it is free again.
    """

    id: str
    purpose: str
    user: str
    host: str
    pid: int
    since: float = 0.0
    ttl_seconds: float = TTL_SECONDS

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Holder:
        """The holder that an answer or a file names.

        Raises:
            ValueError: it names none.
        """
        try:
            return cls(
                id=str(value["id"]),
                purpose=str(value["purpose"]),
                user=str(value["user"]),
                host=str(value["host"]),
                pid=int(value["pid"]),
                since=float(value["since"]),
                ttl_seconds=float(value["ttl_seconds"]),
            )
        except (KeyError, TypeError) as exc:
            raise ValueError("That names no holder of a lease.") from exc

    def to_json(self) -> dict[str, Any]:
        """A plain value for JSON."""
        return asdict(self)


class Leases:
    """One lease of a site, asked for through its colours.

    The first colour that answers is enough where both share a store; where they say that they
    share none, both are asked. Every method raises AccessDenied (no valid token), AppUnhealthy
    (the shared store is away) or AppUnreachable (no colour answers, or none has leases) if no
    colour could serve it, and blocks up to 4 seconds for each colour.
    """

    def __init__(self, settings: OperatorSettings, name: str) -> None:
        self._settings = settings
        self._answered: Colour | None = None
        self._path = f"/admin/leases/{name}"

    def take(self, mine: Holder) -> Holder:
        """Who holds it now: `mine`, or somebody else. Atomic; again by the same id renews it."""
        body = mine.to_json()
        del body["since"]
        held = [_holder(answer) for answer in self._ask("POST", body=body)]
        others = [holder for holder in held if holder is not None and holder.id != mine.id]
        if others and len(held) > 1:
            self.free(mine.id)
        return (others or [mine])[0]

    def renew(self, mine: Holder) -> bool:
        """Hold it for another `ttl_seconds`; False: it expired or was broken, and is not held."""
        body = {"id": mine.id, "ttl_seconds": mine.ttl_seconds}
        held = [_holder(answer) for answer in self._ask("PUT", body=body)]
        return all(holder is not None and holder.id == mine.id for holder in held)

    def free(self, lease_id: str, *, breaking: bool = False) -> None:
        """Give it back; nothing happens unless `lease_id` holds it.

        Args:
            breaking: it is somebody else's, so that this goes on record.
        """
        query = {"id": lease_id, **({"break": "true"} if breaking else {})}
        self._ask("DELETE", query=query)

    def holder(self) -> Holder | None:
        """Who holds it; None: nobody."""
        held = [_holder(answer) for answer in self._ask("GET")]
        return next((holder for holder in held if holder is not None), None)

    def _ask(
        self, method: str, *, body: Any = None, query: Mapping[str, str] | None = None
    ) -> list[dict[str, Any]]:
        path = self._path + (f"?{urlencode(query)}" if query else "")
        answers: list[dict[str, Any]] = []
        failures: list[OperatorError] = []
        for colour in self._in_order():
            try:
                answers.append(self._ask_one(colour, method, path, body))
            except OperatorError as error:
                failures.append(error)
                continue
            self._answered = colour
            if answers[-1].get("shared", True):
                break
        if not answers:
            raise failures[0]
        return answers

    def _in_order(self) -> list[Colour]:
        """The colours, first the one that answered last: one that hangs is waited for once."""
        return sorted(self._settings.colours.values(), key=lambda one: one != self._answered)

    def _ask_one(self, colour: Colour, method: str, path: str, body: Any) -> dict[str, Any]:
        with AppClient(colour.name, colour.url, token=self._settings.token()) as client:
            status, answer = client.request(method, path, body=body, admin=True)
        detail = answer.get("detail") if isinstance(answer, dict) else None
        if status in (401, 403):
            raise AccessDenied(
                f"{colour.name} answers {status}: {detail or 'this needs an admin token'} "
                f"Set {self._settings.token_variable}, or token.file in {self._settings.file}."
            )
        if status in (404, 405):
            raise AppUnreachable(f"{colour.name} has no leases; it runs an older mina_ops.")
        if status == 503:
            raise AppUnhealthy(f"{colour.name} cannot do that now: {detail or 'no reason given'}")
        is_known = isinstance(answer, dict) and "lease" in answer
        if not is_known or status not in (200, 201, *_HELD_BY_ANOTHER):
            raise OperatorError(f"{colour.name} answers {status}: {detail or 'no reason given'}")
        return answer  # type: ignore[no-any-return]


def _holder(answer: Mapping[str, Any]) -> Holder | None:
    lease = answer.get("lease")
    return None if lease is None else Holder.from_json(lease)
