"""What each path of `mina-ops judge` answers: the verdict, the gates of Flagger, the drain.

A gate says yes with 200. Any other status is no to Flagger, and an error to Argo's web metric;
neither lets traffic grow.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus

from mina_ops.errors import AccessDenied, AppUnreachable, OperatorError
from mina_ops.operator.api.answers import DrainStatus
from mina_ops.operator.judge.opinion import Answer, Opinion
from mina_ops.operator.judge.poller import Poller
from mina_ops.operator.judge.reply import Body, Reply, later, problem

LOOK_SECONDS = 7.0
"""How long a look is waited for. Both engines give up after 10 s unless told otherwise."""

Route = Callable[[Body], Reply]


class Hooks:
    """The routes. Every answer comes within some 12 s, whatever hangs around.

    Args:
        grace_seconds: of a drain, where the request names none.
        may_drain: whether drains are ordered at all; they are not where anybody may ask.
    """

    def __init__(self, poller: Poller, *, grace_seconds: float, may_drain: bool) -> None:
        self._poller = poller
        self._grace = grace_seconds
        self._may_drain = may_drain
        self._routes: dict[str, dict[str, Route]] = {
            "/health": {"GET": self._health},
            "/verdict": {"GET": self._verdict, "POST": self._verdict},
            "/hooks/rollout": {"POST": self._advance},
            "/hooks/confirm-traffic-increase": {"POST": self._increase},
            "/hooks/confirm-promotion": {"POST": self._advance},
            "/hooks/rollback": {"POST": self._rollback},
            "/drain": {"POST": self._drain, "GET": self._watch, "DELETE": self._cancel},
        }

    def find(self, method: str, path: str) -> Route | Reply:
        """The route of a request, or why there is none."""
        methods = self._routes.get(path)
        if methods is None:
            return problem(HTTPStatus.NOT_FOUND, f"No such path; there are {_listed(self._routes)}")
        if method not in methods:
            return problem(
                HTTPStatus.METHOD_NOT_ALLOWED,
                f"{path} takes {' and '.join(methods)}.",
                Allow=", ".join(methods),
            )
        return methods[method]

    def _health(self, _: Body) -> Reply:
        if self._poller.alive:
            return Reply(HTTPStatus.OK, {"status": "healthy"})
        return problem(HTTPStatus.SERVICE_UNAVAILABLE, "Nobody looks any more; start it again.")

    def _verdict(self, _: Body) -> Reply:
        return Reply(HTTPStatus.OK, self._poller.ask(LOOK_SECONDS).to_json())

    def _advance(self, _: Body) -> Reply:
        """Yes if every trigger passed."""
        return _gate(self._poller.ask(LOOK_SECONDS))

    def _increase(self, _: Body) -> Reply:
        """Yes if every trigger passed; for its first share a version needs to be ready alone.

        Flagger asks this before the first share too, when nobody can have been there yet.
        """
        opinion = self._poller.ask(LOOK_SECONDS)
        unsure = opinion.answer is Answer.INCONCLUSIVE and opinion.new is not None
        if unsure and self._is_ready() and self._poller.take_first_share():
            return Reply(HTTPStatus.OK, {**opinion.to_json(), "first_share": True})
        return _gate(opinion)

    def _is_ready(self) -> bool:
        try:
            return self._poller.new.ready().ready
        except OperatorError:
            return False

    def _rollback(self, _: Body) -> Reply:
        """Yes if the release is bad; the old colour then serves again, should it be draining."""
        opinion = self._poller.ask(LOOK_SECONDS)
        if opinion.answer is not Answer.FAIL:
            return _no(opinion, HTTPStatus.CONFLICT)
        body = opinion.to_json()
        if self._may_drain:
            try:
                body["old_state"] = self._poller.old.cancel_drain().state
            except OperatorError as error:
                # Traffic must go back whether or not the old colour's order could be taken back.
                body["old_state"] = str(error)
        return Reply(HTTPStatus.OK, body)

    def _drain(self, body: Body) -> Reply:
        """Yes once the old colour is drained; the first call orders it, each says how far it is."""
        grace = body.get("grace_seconds", self._grace)
        if isinstance(grace, bool) or not isinstance(grace, int | float) or not 0 <= grace <= 86400:
            return problem(HTTPStatus.BAD_REQUEST, "grace_seconds must be from 0 to 86400.")
        if refusal := self._refused(body):
            return problem(HTTPStatus.CONFLICT, refusal)
        return self._told(lambda: self._poller.old.begin_drain(grace))

    def _watch(self, _: Body) -> Reply:
        return self._told(self._poller.old.drain_status)

    def _cancel(self, _: Body) -> Reply:
        return self._told(self._poller.old.cancel_drain, done="serving")

    def _refused(self, body: Body) -> str:
        """Why the old colour must not be drained now; "": it may."""
        if {"namespace", "phase", "checksum"} <= body.keys():
            return (
                "Flagger goes on only while its primary is ready, and a colour that drains is "
                "not: leave this drain to SIGTERM, as docs/guests.md says."
            )
        new, old = self._poller.new, self._poller.old
        try:
            ready, health = new.ready(), old.health()
        except OperatorError as error:
            return f"{error} Nobody would take the sessions."
        if ready.environment in (None, health.environment):
            return f"{new.name} and {old.name} both answer as {health.environment}."
        return "" if ready.ready else f"{new.name} is not ready ({ready.reason})."

    def _told(self, ask: Callable[[], DrainStatus], done: str = "drained") -> Reply:
        if not self._may_drain:
            return problem(HTTPStatus.FORBIDDEN, "Drains are off where anybody may ask (--open).")
        try:
            status = ask()
        except AppUnreachable as error:
            return later(str(error))
        except AccessDenied as error:
            return problem(HTTPStatus.BAD_GATEWAY, str(error))
        except OperatorError as error:
            return problem(HTTPStatus.CONFLICT, str(error))
        body = {
            "state": status.state,
            "colour": self._poller.old.name,
            "active_connections": status.active_connections,
            "remaining_seconds": status.remaining_seconds,
            "forced": status.forced,
        }
        if status.state == done:
            return Reply(HTTPStatus.OK, body)
        left = "?" if status.active_connections is None else status.active_connections
        reply = later(f"{self._poller.old.name} is {status.state}, {left} live connections.")
        return Reply(reply.status, {**reply.body, **body}, reply.headers)


def _gate(opinion: Opinion) -> Reply:
    if opinion.answer is Answer.PASS:
        return Reply(HTTPStatus.OK, opinion.to_json())
    sure = opinion.answer is Answer.FAIL
    return _no(opinion, HTTPStatus.CONFLICT if sure else HTTPStatus.SERVICE_UNAVAILABLE)


def _no(opinion: Opinion, status: HTTPStatus) -> Reply:
    detail = f"{opinion.answer}: {'; '.join(opinion.reasons)}"
    unsure = status is HTTPStatus.SERVICE_UNAVAILABLE
    reply = later(detail) if unsure else problem(status, detail)
    return Reply(status, {**opinion.to_json(), **reply.body}, reply.headers)


def _listed(routes: Mapping[str, object]) -> str:
    return f"{', '.join(routes)}."
