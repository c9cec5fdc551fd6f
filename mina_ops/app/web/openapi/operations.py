"""Operations of the OpenAPI document: what an endpoint takes and answers.

Each feature has a `contract.py` with its `Contract`; the document is put together of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mina_ops.app.web.openapi.forms import TEXT, Schema, ref

Operation = dict[str, Any]


@dataclass(frozen=True)
class Contract:
    """One feature's part of the document.

    Attributes:
        paths: path -> method in lower case -> operation.
        schemas: name -> schema of the bodies that the operations name.
        notes: what else a reader of the document should know, a sentence each.
    """

    paths: Mapping[str, Mapping[str, Operation]] = field(default_factory=dict)
    schemas: Mapping[str, Schema] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


JSON = "application/json"
PROBLEM = "application/problem+json"
STATUS = {
    200: "Done.",
    201: "A new flag.",
    202: "Begun, or not yet applied by every process.",
    304: "Not changed since the ETag that was sent.",
    400: "A parameter or field is wrong; `field` names it.",
    401: "Nobody is logged in and no known token came along.",
    403: "Not an admin, not this token's part, or the request came from another site.",
    404: "There is no such thing.",
    409: "Refused in the present state.",
    412: "It changed since it was read (`If-Match`).",
    413: "The body is too large.",
    429: "Too many tries; retry after `Retry-After` seconds.",
    503: "Not fit now, or the shared state is away; retry after `Retry-After` seconds.",
}
ADMIN = (401, 403, 429)
HEADERS = {
    "Cache-Control": {"schema": TEXT},
    "X-Content-Type-Options": {"schema": {"const": "nosniff"}},
    "X-Mina-Environment": {"schema": TEXT},
    "X-Mina-Version": {"schema": TEXT},
}


def operation(
    summary: str,
    tag: str,
    bodies: Mapping[int, str],
    *problems: int,
    parameters: tuple[Operation, ...] = (),
    body: str | None = None,
    needs_body: bool = True,
) -> Operation:
    """What a method of a path does.

    Args:
        bodies: status -> name of the schema of its body.
        problems: statuses that are problem details (RFC 9457).
        body: name of the schema of the request's body.
    """
    answers = {str(status): answer(status, JSON, ref(name)) for status, name in bodies.items()}
    for status in problems:
        answers[str(status)] = answer(status, PROBLEM, ref("Problem"))
    operation: Operation = {"summary": summary, "tags": [tag], "responses": answers}
    if parameters:
        operation["parameters"] = list(parameters)
    if body:
        content = {JSON: {"schema": ref(body)}}
        operation["requestBody"] = {"required": needs_body, "content": content}
    if set(ADMIN) <= set(problems):
        operation["security"] = [{"bearer": []}, {"session": []}]
    return operation


def answer(status: int, content_type: str, schema: Operation) -> Operation:
    """One answer of an operation."""
    headers = dict(HEADERS)
    if status in (429, 503):
        headers["Retry-After"] = {"schema": {"type": "string", "pattern": "^[0-9]+$"}}
    content = {content_type: {"schema": schema}}
    return {"description": STATUS[status], "headers": headers, "content": content}


def parameters(known: Mapping[str, Schema], *needed: str) -> tuple[Operation, ...]:
    """The parameters of a query; `check.query_values` reads them by the same schemas."""
    found = []
    for name, schema in known.items():
        made = {"name": name, "in": "query", "schema": schema}
        if "description" in schema:
            made["description"] = schema["description"]
        found.append({**made, "required": True} if name in needed else made)
    return tuple(found)


def in_path(name: str, schema: Operation) -> Operation:
    """A part of the path."""
    return {"name": name, "in": "path", "required": True, "schema": schema}
