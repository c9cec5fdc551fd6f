"""Flask routes that answer in our form, whatever the host's error handlers do."""

from __future__ import annotations

import json
import logging
import math
import secrets
from collections.abc import Callable, Mapping
from typing import Any

from flask import Blueprint, Response, request
from werkzeug.exceptions import RequestEntityTooLarge

from mina_ops.app.web.answers import PROBLEM, Answer, problem, wrong_method
from mina_ops.app.web.openapi.check import require_body
from mina_ops.app.web.openapi.forms import Schema
from mina_ops.errors import InvalidRequest, MinaOpsError, TooLarge

_log = logging.getLogger(__name__)

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_LARGEST_BODY = 1 << 20

View = Callable[..., Answer]


def mount(
    blueprint: Blueprint, rule: str, views: Mapping[str, View], identity: Mapping[str, str]
) -> None:
    """Serve `rule` with one view for each method.

    All methods are registered, so a wrong one gets our 405 with `Allow`, not what the host's
    catch-all error handler would make of it. HEAD is served by the GET view.
    """
    allowed = sorted({*views, "OPTIONS"} | ({"HEAD"} if "GET" in views else set()))

    def endpoint(**arguments: Any) -> Response:
        method = "GET" if request.method == "HEAD" else request.method
        view = views.get(method)
        if method == "OPTIONS" and view is None:
            return Answer(204, headers={"Allow": ", ".join(allowed)}).to_flask(identity)
        if view is None:
            return wrong_method(allowed).to_flask(identity)
        return guarded(lambda: view(**arguments)).to_flask(identity)

    name = rule.strip("/").replace("/", "_").translate(str.maketrans("", "", "<>:.")) or "root"
    blueprint.add_url_rule(rule, name, endpoint, methods=_METHODS, provide_automatic_options=False)


def guarded(view: Callable[[], Answer]) -> Answer:
    """The view's answer, or the problem that it raised; an unexpected one is logged with an id."""
    try:
        return view()
    except MinaOpsError as error:
        return problem(error)
    except Exception:
        correlation = secrets.token_hex(8)
        _log.exception("An endpoint failed, correlation id %s", correlation)
        body = {"type": "urn:mina-ops:problem:error", "title": "Internal Server Error"}
        body |= {"code": "error", "detail": "See the log.", "correlation_id": correlation}
        return Answer(500, {**body, "status": 500}, content_type=PROBLEM)


def json_body(schema: Schema, named: Mapping[str, Schema] | None = None) -> dict[str, Any]:
    """The request's body, if the schema of an object allows it.

    An empty body is `{}`. Its content type does not matter: curl sends JSON as a form.

    Args:
        named: schemas that a `$ref` may name.

    Raises:
        InvalidRequest: not an object, or not what the schema allows; names the field.
        TooLarge: it is larger than 1 MiB.
    """
    body = json_object()
    require_body(body, schema, named)
    return body


def json_object() -> dict[str, Any]:
    """The request's body as an object, whatever is in it; raises as `json_body` does."""
    raw = _bounded_body()
    try:
        body = json.loads(raw or b"{}", parse_constant=_no_number)
    except (ValueError, RecursionError) as exc:
        raise InvalidRequest("The body is not JSON. Send an object, e.g. {}.") from exc
    if not isinstance(body, dict):
        raise InvalidRequest("The body is not a JSON object.")
    return body


def _no_number(text: str) -> float:
    # NaN and Infinity are no JSON; as a value they are refused by the field's name.
    return math.nan


def _bounded_body() -> bytes:
    too_large = TooLarge(f"The body is larger than {_LARGEST_BODY} bytes.")
    if (request.content_length or 0) > _LARGEST_BODY:
        raise too_large
    try:
        if request.content_length is None:  # chunked: its end shows only when it is reached
            raw = request.stream.read(_LARGEST_BODY + 1)
        else:
            raw = request.get_data(cache=True, parse_form_data=False)
    except RequestEntityTooLarge as exc:  # the host's own MAX_CONTENT_LENGTH
        raise too_large from exc
    if len(raw) > _LARGEST_BODY:
        raise too_large
    return raw
