"""Everything that mina_ops raises on purpose.

    MinaOpsError                  root; has a code, an HTTP status and an exit code
    ├── ConfigurationError        a setting or mina-ops.toml cannot be used
    ├── RequestError              a request to one of our endpoints cannot be served
    │   ├── InvalidRequest        400: the body or the query is wrong, `field` says where
    │   ├── NotAuthenticated      401: nobody is logged in and no valid token came along
    │   ├── Forbidden             403: somebody is, but may not do this
    │   ├── NotFound              404: no such check, flag or outcome
    │   ├── TooLarge              413: the body is larger than any that makes sense
    │   ├── Conflict              409: refused in the present state; a later try may pass
    │   ├── PreconditionFailed    412: the thing changed since the caller read it
    │   └── TooManyRequests       429: too many tries; says when the next one may come
    ├── StateUnavailable          503: the shared state cannot be read or written now
    ├── UserUnavailable           503: the host cannot look up who is logged in now
    └── OperatorError             the operator's half could not do what was asked
        ├── AppUnreachable        no answer from a colour, or an answer that makes no sense
        ├── AppUnhealthy          a colour answered, and it is not fit for traffic
        ├── AccessDenied          a colour refused our token
        ├── ToolMissing           a program that is needed is not installed
        ├── TrafficError          the load balancer does not do what it was told
        ├── DrainForced           drained, but some sessions had to be cut
        ├── DrainTimedOut         sessions were still open at the deadline
        ├── Locked                another controller holds the release lock
        └── RolledBack            a release was judged bad and taken back

Catch `MinaOpsError` for all of them. Clients see `code` and `str(error)`, so a message never
holds a DSN, a token or another exception's text; chain those with ``from`` for the log.
"""

from __future__ import annotations


class MinaOpsError(Exception):
    """Root of the tree. The message says what happened, to which thing, and what to do next."""

    code = "error"
    http_status = 500
    exit_code = 1


class ConfigurationError(MinaOpsError):
    """A setting or mina-ops.toml cannot be used; the message names the key."""

    code = "configuration"
    exit_code = 2


class RequestError(MinaOpsError):
    """A request to one of our endpoints cannot be served."""

    code = "bad_request"
    http_status = 400


class InvalidRequest(RequestError):
    """The body or the query is wrong.

    Args:
        message: what is wrong and what would be right.
        field: the offending field's name, if there is one.
    """

    code = "invalid_request"

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class NotAuthenticated(RequestError):
    """Nobody is logged in and no valid bearer token came along."""

    code = "not_authenticated"
    http_status = 401


class Forbidden(RequestError):
    """The caller is known but may not do this, or the request came from another site."""

    code = "forbidden"
    http_status = 403


class NotFound(RequestError):
    """No such check, flag or outcome."""

    code = "not_found"
    http_status = 404


class TooLarge(RequestError):
    """The body is larger than any that makes sense."""

    code = "too_large"
    http_status = 413


class Conflict(RequestError):
    """Refused in the present state; the message says what would have to change."""

    code = "conflict"
    http_status = 409


class PreconditionFailed(RequestError):
    """The thing changed since the caller read it; read again, then retry."""

    code = "precondition_failed"
    http_status = 412


class TooManyRequests(RequestError):
    """Too many tries.

    Args:
        retry_after_seconds: when the next one may come.
    """

    code = "too_many_requests"
    http_status = 429

    def __init__(self, message: str, *, retry_after_seconds: int) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class StateUnavailable(MinaOpsError):
    """The shared state (Redis) cannot be read or written now; retry later."""

    code = "state_unavailable"
    http_status = 503


class UserUnavailable(MinaOpsError):
    """Somebody has a session, and the host cannot look them up now; retry later."""

    code = "user_unavailable"
    http_status = 503


class OperatorError(MinaOpsError):
    """The operator's half could not do what was asked."""

    code = "operator"


class AppUnreachable(OperatorError):
    """No answer from a colour, or an answer that makes no sense."""

    code = "unreachable"
    exit_code = 3


class AppUnhealthy(OperatorError):
    """A colour answered, and it is not fit for traffic."""

    code = "unhealthy"
    exit_code = 3


class Locked(OperatorError):
    """Another controller holds the release lock."""

    code = "locked"
    exit_code = 4


class RolledBack(OperatorError):
    """A release was judged bad and taken back; traffic is where it was before."""

    code = "rolled_back"
    exit_code = 5


class ToolMissing(OperatorError):
    """A program that is needed is not installed."""

    code = "tool_missing"
    exit_code = 6


class TrafficError(OperatorError):
    """The load balancer does not do what it was told; traffic is as it was."""

    code = "traffic"
    exit_code = 7


class AccessDenied(OperatorError):
    """A colour refused our token."""

    code = "access_denied"
    exit_code = 8


class DrainForced(OperatorError):
    """The colour is drained, but some sessions had to be cut or a hold was not flushed."""

    code = "drain_forced"
    exit_code = 9


class DrainTimedOut(OperatorError):
    """Sessions were still open when the drain's deadline and its margin had passed."""

    code = "drain_timed_out"
    exit_code = 10
