"""The few requests that the driver makes of Kubernetes' API server.

Source: Kubernetes' documentation, "Kubernetes API Concepts" and "Server-Side Apply".
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from mina_ops.errors import TrafficError
from mina_ops.operator.api.httpx_alone import httpx
from mina_ops.operator.system.patience import patient
from mina_ops.operator.traffic.gateway.access import Access

MANAGER = "mina-ops"
"""Our name among those who own fields of an object."""
_CONNECT_SECONDS = 2.0
_ANSWER_SECONDS = 5.0
_APPLY = "application/apply-patch+yaml"
_CONFLICT, _MISSING = 409, 404

Json = dict[str, Any]


@dataclass(frozen=True)
class Kind:
    """A kind of objects: where they are, and what people call one."""

    path: str
    name: str
    one: str


_GATEWAY_API = "/apis/gateway.networking.k8s.io/v1"
ROUTE = Kind(_GATEWAY_API, "httproutes", "HTTPRoute")
GATEWAY = Kind(_GATEWAY_API, "gateways", "Gateway")
SERVICE = Kind("/api/v1", "services", "Service")
ENDPOINTS = Kind("/apis/discovery.k8s.io/v1", "endpointslices", "EndpointSlice")
LEASE = Kind("/apis/coordination.k8s.io/v1", "leases", "Lease")


class KubernetesApi:
    """Requests to one API server; each is a connection of its own, and none waits for long.

    Every method raises TrafficError where the API server does not answer or refuses; the message
    says what to do. ConfigurationError where there is no access to it.

    Args:
        find: where it is and who we are; called at the first request.

    Attributes:
        now: the API server's own clock at its last answer, in seconds since 1970.
    """

    now = 0.0

    def __init__(self, find: Callable[[], Access]) -> None:
        self._find = find
        self._found: Access | None = None

    @property
    def access(self) -> Access:
        """Where it is and who we are."""
        if self._found is None:
            self._found = self._find()
        return self._found

    def get(self, kind: Kind, name: str, namespace: str | None = None) -> Json | None:
        """One object; None: there is none of that name."""
        return self._ask("GET", kind, name, namespace=namespace, missing_is_none=True)

    def listed(self, kind: Kind, labels: str) -> list[Json] | None:
        """The objects that bear these labels, as "a=b"; None: it knows no such kind."""
        query = {"labelSelector": labels}
        answer = self._ask("GET", kind, "", query=query, missing_is_none=True)
        return None if answer is None else list(answer.get("items") or [])

    def apply(self, kind: Kind, wanted: Json, *, force: bool = False) -> Json | None:
        """Server-side apply: the fields in `wanted` become ours, others stay. Atomic.

        Where `wanted` has a resourceVersion, only if the object is still of that one.

        Args:
            force: take over fields that others own.

        Returns:
            The object as it is now; None: it changed since it was read, nothing was done.
        """
        query = {"fieldManager": MANAGER, "fieldValidation": "Strict"}
        query |= {"force": "true"} if force else {}
        return self._ask("PATCH", kind, wanted["metadata"]["name"], body=wanted, query=query)

    def create(self, kind: Kind, wanted: Json) -> Json | None:
        """A new object; None: there is one of that name already."""
        return self._ask("POST", kind, "", body=wanted, query={"fieldManager": MANAGER})

    def replace(self, kind: Kind, wanted: Json) -> Json | None:
        """The object as it shall be; None: it changed since it was read, nothing was done."""
        query = {"fieldManager": MANAGER}
        return self._ask("PUT", kind, wanted["metadata"]["name"], body=wanted, query=query)

    def _ask(
        self,
        method: str,
        kind: Kind,
        name: str,
        *,
        namespace: str | None = None,
        body: Any = None,
        query: dict[str, str] | None = None,
        missing_is_none: bool = False,
    ) -> Json | None:
        path = f"{kind.path}/namespaces/{namespace or self.access.namespace}/{kind.name}"
        path += f"/{name}" if name else ""
        response = self._send(method, path, body, query)
        self.now = _clock(response)
        value = _object(response)
        if response.is_success:
            return value
        if response.status_code == _MISSING and missing_is_none and _is_about(value, name):
            return None
        if response.status_code == _CONFLICT and not _others(value):
            return None
        raise TrafficError(self._why(response, value, f"{kind.one} {name}".strip(), method, path))

    def _send(
        self, method: str, path: str, body: Any, query: dict[str, str] | None
    ) -> httpx.Response:
        access = self.access
        headers = {"Accept": "application/json", "User-Agent": MANAGER}
        headers["Content-Type"] = _APPLY if method == "PATCH" else "application/json"
        if authorization := access.authorization():
            headers["Authorization"] = authorization
        times = httpx.Timeout(patient(_ANSWER_SECONDS), connect=patient(_CONNECT_SECONDS))
        content = None if body is None else json.dumps(body).encode()
        try:
            with httpx.Client(
                base_url=access.server, verify=access.tls, timeout=times, trust_env=False
            ) as client:
                return client.request(method, path, content=content, params=query, headers=headers)
        except httpx.HTTPError as exc:
            self._forget_access()
            raise TrafficError(
                f"Kubernetes' API server does not answer at {access.server} "
                f"({type(exc).__name__}). Traffic is as it was; see traffic.gateway.kubeconfig."
            ) from exc

    def _forget_access(self) -> None:
        """Look it up for the next request: certificates and kubeconfigs are replaced at times."""
        self._found = None

    def _why(self, response: httpx.Response, value: Json, what: str, method: str, path: str) -> str:
        said = str(value.get("message") or f"status {response.status_code}")
        if response.status_code == httpx.codes.UNAUTHORIZED:
            self._forget_access()
            return f"The API server at {self.access.server} does not know who we are: {said}."
        if response.status_code == httpx.codes.FORBIDDEN:
            return (
                f"The API server allows us no {method} {path}: {said} "
                "See deployment/kubernetes/gateway/rbac.yml for what is needed."
            )
        if owners := _others(value):
            return (
                f"Others own fields of {what}: {'; '.join(owners)}. Traffic is as it was. Ask "
                "them, then take the fields over with `mina-ops traffic install --force`."
            )
        if response.status_code == _MISSING:
            return (
                f"The API server has no {method} {path}: {said}. Are the Gateway API's definitions "
                "(version 1) installed?"
            )
        return f"The API server refuses {what}: {said}"


def _others(value: Json) -> list[str]:
    """Who owns the fields that an apply would have changed, and which."""
    causes = (value.get("details") or {}).get("causes") or []
    return [
        f"{cause.get('field')}, {cause.get('message')}"
        for cause in causes
        if cause.get("reason") == "FieldManagerConflict"
    ]


def _is_about(value: Json, name: str) -> bool:
    """Whether a 404 is about the object, and not about its kind."""
    return not name or (value.get("details") or {}).get("name") == name


def _clock(response: httpx.Response) -> float:
    try:
        return parsedate_to_datetime(response.headers["Date"]).timestamp()
    except (KeyError, ValueError):
        return datetime.now(UTC).timestamp()


def _object(response: httpx.Response) -> Json:
    try:
        value = json.loads(response.content)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
