"""The rules of an HTTPRoute, as the Gateway API has them. Pure.

Which rule takes a request, by the Gateway API: the longest path, then the most matches of headers,
then of the query, then the first of the list. Every rule here that looks at a visitor has one match
of a header, so that the list's order decides; see `Route`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mina_ops.operator.traffic.gateway import matching

Json = dict[str, Any]

SPLIT_PROOF, SESSIONS_PROOF = "/.well-known/mina-ops-split", "/.well-known/mina-ops-sessions"
"""Answered by the Gateway itself, with the fingerprint of the route that it serves."""
PROOF_DOMAIN = ".split.mina.invalid"
TESTER_COOKIE, TESTER_HEADER = "mina_tester", "X-Mina-Tester"
RELEASE_HEADER, RELEASE_QUERY = "X-Mina-Release", "mina_release"
# What nobody outside may say: the app would take it for the load balancer's word. A tester's value
# is for nobody behind it.
_OURS = (
    *("X-Mina-Elsewhere", "X-Mina-Only-If-Ready", "X-Mina-Drain-Status", "X-Mina-Sticky"),
    *(TESTER_HEADER, "Forwarded", "X-Forwarded-Prefix"),
)


def proof(path: str, fingerprint: str) -> Json:
    """Answers the path of a proof with a redirection to a host that bears the fingerprint.

    A redirection needs no pod, so it tells what is served while both colours are down; and one to
    another host is what every Gateway must support.
    """
    redirect = {"hostname": f"{fingerprint}{PROOF_DOMAIN}", "statusCode": 302}
    return {
        "matches": [{"path": {"type": "Exact", "value": path}}],
        "filters": [{"type": "RequestRedirect", "requestRedirect": redirect}],
    }


def rule(matches: list[Json], services: Mapping[str, int], port: int, **told: str) -> Json:
    """A rule that shares what matches among Services by weight.

    Args:
        told: headers that the app is given, as `X_Mina_Elsewhere="1"`.
    """
    headers = {name.replace("_", "-"): value for name, value in told.items()}
    modifier: Json = {"remove": [name for name in _OURS if name not in headers]}
    if headers:
        modifier["set"] = [{"name": name, "value": value} for name, value in headers.items()]
    return {
        "matches": matches,
        "filters": [{"type": "RequestHeaderModifier", "requestHeaderModifier": modifier}],
        "backendRefs": [
            {"group": "", "kind": "Service", "name": name, "port": port, "weight": weight}
            for name, weight in services.items()
        ],
    }


def everything() -> Json:
    """Matches every request."""
    return below("/")


def below(prefix: str, *, header: Json | None = None, query: Json | None = None) -> Json:
    """Matches requests below a path, with at most one header and one parameter of the query."""
    found: Json = {"path": {"type": "PathPrefix", "value": prefix}}
    if header is not None:
        found["headers"] = [header]
    if query is not None:
        found["queryParams"] = [query]
    return found


def exact(name: str, value: str) -> Json:
    """A header or a parameter of the query with just this value."""
    return {"type": "Exact", "name": name, "value": value}


def like(name: str, expression: str) -> Json:
    """A header or a parameter of the query whose value matches a regular expression."""
    return {"type": "RegularExpression", "name": name, "value": expression}


def cookie(name: str, expression: str) -> Json:
    """The header of cookies, with one of them whose value matches a regular expression."""
    return like("Cookie", matching.cookie(name, expression))
