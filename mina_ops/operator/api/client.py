"""A colour of the app, asked over HTTP: its health, metrics, drain and flags."""

from __future__ import annotations

import json
import ssl
from collections.abc import Mapping
from typing import Any, Self

from mina_ops.errors import AccessDenied, AppUnreachable, OperatorError
from mina_ops.operator.api.answers import Connections, DrainStatus, Health, Readiness
from mina_ops.operator.api.httpx_alone import httpx
from mina_ops.operator.config.colours import UNIX
from mina_ops.operator.system.patience import patient

CONNECT_SECONDS = 1.0
ANSWER_SECONDS = 3.0

_UNHEALTHY_IS_AN_ANSWER = (200, 503)
_REFUSED = (401, 403, 429)
_IDENTITY = "X-Mina-Environment"
_REPEATABLE = frozenset({"GET", "HEAD", "PUT", "DELETE"})
_CUT = (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError)


class AppClient:
    """A client for one colour, or one instance of it. Safe to share between threads.

    It never follows a redirect, so the token goes to no other host, and waits no longer than it is
    told for an answer. What may be asked twice is asked once more if the connection was cut: a
    server may close one that was idle just as the next request is on its way.

    Args:
        name: what to call it in messages, as "blue" or "blue 0".
        url: its own address.
        token: bearer token for the admin endpoints; without one they answer 401.
        answer_seconds: how long it waits for an answer; default: 3 s, times MINA_OPS_PATIENCE.
    """

    def __init__(
        self,
        name: str,
        url: str,
        *,
        token: str | None = None,
        answer_seconds: float | None = None,
    ) -> None:
        self.name = name
        self.url = url
        headers = {"Accept": "application/json", "User-Agent": "mina-ops"}
        self._bearer = {"Authorization": f"Bearer {token}"} if token else {}
        answer = patient(ANSWER_SECONDS) if answer_seconds is None else answer_seconds
        self._http = httpx.Client(
            **reach(url),
            headers=headers,
            timeout=httpx.Timeout(answer, connect=patient(CONNECT_SECONDS)),
            follow_redirects=False,
            # No proxy or .netrc of the operator's shell: neither is asked to see the token.
            trust_env=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close its connections."""
        self._http.close()

    def health(self) -> Health:
        """What the colour says of itself; unhealthy is an answer, not an error.

        Raises:
            AppUnreachable: no answer, or one that makes no sense. So do all methods here.
        """
        status, body = self._get("/api/health", _UNHEALTHY_IS_AN_ANSWER)
        if not isinstance(body.get("status"), str):
            raise self._nonsense("/api/health", "has no status")
        return Health.from_answer(status, body)

    def ready(self) -> Readiness:
        """Whether it may take new visitors."""
        status, body = self._get("/api/health/ready", _UNHEALTHY_IS_AN_ANSWER)
        return Readiness.from_answer(status, body)

    def connections(self) -> Connections:
        """Live sessions of the colour over all its processes."""
        return Connections.from_body(self.metric("connections"))

    def metric(
        self, name: str, *, environment: str | None = None, window_seconds: int | None = None
    ) -> Mapping[str, Any]:
        """The body of `/api/metrics/<name>`, as "errors" or "outcomes/transcription".

        Args:
            environment: a colour whose figures are wanted; default: this one's own.
            window_seconds: over how long; default: the endpoint's own.
        """
        query = {"environment": environment, "window": window_seconds}
        given = {key: str(value) for key, value in query.items() if value is not None}
        return self._get(f"/api/metrics/{name}", (200,), given)[1]

    def begin_drain(
        self, grace_seconds: float | None = None, *, force: bool = False
    ) -> DrainStatus:
        """Order the colour to drain; a repeat is idempotent, a shorter grace tightens it.

        Args:
            force: even while the other colour drains.

        Raises:
            AccessDenied: the token is missing, wrong or may not do this. So do all admin calls.
            OperatorError: the other colour drains, and this is not forced.
        """
        order: dict[str, Any] = {} if grace_seconds is None else {"grace_seconds": grace_seconds}
        order |= {"force": True} if force else {}
        return DrainStatus.from_body(self.admin("POST", "/admin/drain", order))

    def drain_status(self) -> DrainStatus:
        """How far the drain is."""
        return DrainStatus.from_body(self.admin("GET", "/admin/drain"))

    def cancel_drain(self) -> DrainStatus:
        """Take the drain order back; the colour serves again. Idempotent."""
        return DrainStatus.from_body(self.admin("DELETE", "/admin/drain"))

    def request(
        self, method: str, path: str, *, body: Any = None, admin: bool = False
    ) -> tuple[int, Any]:
        """Status and JSON of any endpoint, for what has no method here; no status is an error."""
        return self.exchange(method, path, body=body, admin=admin)[:2]

    def exchange(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        admin: bool = False,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, Any, Mapping[str, str]]:
        """Like `request`, with headers of its own, and with those of the answer."""
        sent = {**(self._bearer if admin else {}), **(headers or {})}
        response = self._send(method, path, body=body, headers=sent)
        if admin and response.is_success:
            self._refuse_stranger(response)
        return response.status_code, self._json(response), response.headers

    def _get(
        self, path: str, expected: tuple[int, ...], query: Mapping[str, str] | None = None
    ) -> tuple[int, dict[str, Any]]:
        response = self._send("GET", path, query=query)
        self._expect(response, expected)
        return response.status_code, self._object(response)

    def admin(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """The body of an admin endpoint's answer; {} where it has none."""
        response = self._send(method, path, body=body, headers=self._bearer)
        self._expect(response, (200, 201, 202, 204))
        return self._object(response) if response.content else {}

    def _send(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        request = self._http.build_request(method, path, json=body, params=query, headers=headers)
        try:
            return self._answer(request)
        except httpx.TimeoutException as exc:
            raise AppUnreachable(
                f"{self.name} does not answer in time at {self.url}{path}; is it overloaded or "
                "hung?"
            ) from exc
        except httpx.HTTPError as exc:
            if untrusted := _untrusted(exc):
                raise AppUnreachable(
                    f"{self.name} has a certificate at {self.url} that this machine does not trust "
                    f"({untrusted}); renew it, or add its issuer here (SSL_CERT_FILE)."
                ) from exc
            raise AppUnreachable(
                f"{self.name} cannot be reached at {self.url} ({type(exc).__name__}); is it "
                "running, and is its address right?"
            ) from exc

    def _answer(self, request: httpx.Request) -> httpx.Response:
        try:
            return self._http.send(request)
        except _CUT:
            if request.method not in _REPEATABLE:
                raise
        return self._http.send(request)

    def _expect(self, response: httpx.Response, expected: tuple[int, ...]) -> None:
        status, path = response.status_code, response.request.url.path
        if status in expected:
            self._refuse_stranger(response)
            return
        if status in _REFUSED:
            what = (
                "none was sent."
                if not self._bearer
                else f"it was refused: {self._detail(response)}"
            )
            raise AccessDenied(
                f"{self.name} answers {status} for {path}: it needs an admin's token, {what} "
                "Make one with `mina-ops token new`, then set the variable that token.env names."
            )
        if response.is_redirect:
            raise AppUnreachable(
                f"{self.name} at {self.url} redirects {path} elsewhere, which is not followed; "
                "give the address that answers itself."
            )
        if status == httpx.codes.NOT_FOUND:
            raise AppUnreachable(
                f"{self.name} has no {path}; does {self.url} run the app with mina_ops in it?"
            )
        raise OperatorError(f"{self.name} answers {status} for {path}: {self._detail(response)}")

    def _refuse_stranger(self, response: httpx.Response) -> None:
        """Believe no success that mina_ops did not give: the app may have a route of that path."""
        if _IDENTITY not in response.headers:
            raise self._nonsense(
                response.request.url.path,
                f"is not from mina_ops (no {_IDENTITY}), so nothing was done there; `mina-ops "
                "doctor` tells whether the app has a route of its own at that path",
            )

    def _detail(self, response: httpx.Response) -> str:
        body = self._json(response)
        if isinstance(body, dict):
            return str(body.get("detail") or body.get("title") or "no reason given")
        return "no reason given"

    def _object(self, response: httpx.Response) -> dict[str, Any]:
        body = self._json(response)
        if not isinstance(body, dict):
            raise self._nonsense(response.request.url.path, "is no JSON object")
        return body

    def _json(self, response: httpx.Response) -> Any:
        try:
            return json.loads(response.content)
        except ValueError:
            return None

    def _nonsense(self, path: str, why: str) -> AppUnreachable:
        return AppUnreachable(
            f"What {self.name} answers at {self.url}{path} {why}; is the address right?"
        )


def _untrusted(error: BaseException | None) -> str:
    """Why a certificate is not trusted, in the words of TLS; "": that is not what happened."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return error.verify_message
        error = error.__cause__ or error.__context__
    return ""


def reach(url: str) -> dict[str, Any]:
    """The arguments by which an `httpx.Client` gets to a process, over a unix socket too.

    It trusts the system's certificates, reading which takes longer than a request; plain HTTP
    needs none.
    """
    if url.startswith(UNIX):
        transport = httpx.HTTPTransport(uds=url.removeprefix(UNIX))
        return {"base_url": "http://localhost", "transport": transport}
    if url.startswith("https:"):
        return {"base_url": url, "verify": ssl.create_default_context()}
    return {"base_url": url, "verify": ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)}
