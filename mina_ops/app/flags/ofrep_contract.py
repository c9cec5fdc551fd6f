"""The OFREP endpoints in the OpenAPI document, as the protocol has them.

Source: open-feature/protocol, service/openapi.yaml 0.3.0.
"""

from __future__ import annotations

from collections.abc import Mapping

from mina_ops.app.web.openapi.forms import NULL, TEXT, Schema, listed, record, ref
from mina_ops.app.web.openapi.operations import (
    ADMIN,
    JSON,
    Contract,
    Operation,
    answer,
    in_path,
    operation,
)

ALL_PATH = "/ofrep/v1/evaluate/flags"
_CONTEXT: Schema = {
    "type": "object",
    "properties": {"targetingKey": {**TEXT, "description": "Whom the flag is asked for."}},
    "required": ["targetingKey"],
}
_FAILED = {"errorCode": TEXT, "errorDetails": TEXT}

# A client of a later protocol may send more: what is unknown is not looked at.
REQUEST: Schema = {"type": "object", "properties": {"context": _CONTEXT}, "required": ["context"]}
SCHEMAS: Mapping[str, Schema] = {
    "OfrepRequest": REQUEST,
    "OfrepSuccess": record(
        {
            "key": TEXT,
            "reason": {"enum": ["STATIC", "TARGETING_MATCH", "SPLIT", "DISABLED", "UNKNOWN"]},
            "variant": {"anyOf": [TEXT, NULL]},
            "value": {},
            "metadata": {"type": "object"},
        },
        "value",
        "metadata",
    ),
    "OfrepFailure": record({"key": TEXT, **_FAILED}, "key"),
    "OfrepAll": record(
        {
            "flags": listed({"anyOf": [ref("OfrepSuccess"), ref("OfrepFailure")]}),
            "metadata": {"type": "object"},
        }
    ),
}


def contract() -> Contract:
    """What `/ofrep/v1` takes and answers."""
    return Contract(
        {
            ALL_PATH: {"post": _evaluate("Every flag for a context.", "OfrepAll", "all")},
            f"{ALL_PATH}/{{key}}": {
                "post": _evaluate("One flag for a context.", "OfrepSuccess", "one")
            },
        },
        SCHEMAS,
    )


def _evaluate(summary: str, shows: str, which: str) -> Operation:
    made = operation(summary, "ofrep", {200: shows}, *ADMIN, 413, body="OfrepRequest")
    failed = answer(400, JSON, ref("OfrepFailure"))
    made["responses"]["400"] = failed
    # Bearer tokens come in a header of the protocol's own as well.
    made["security"] = [*made["security"], {"ofrepKey": []}]
    if which == "one":
        made["parameters"] = [in_path("key", TEXT)]
        made["responses"]["404"] = answer(404, JSON, ref("OfrepFailure"))
    else:
        made["parameters"] = [{"name": "If-None-Match", "in": "header", "schema": TEXT}]
        made["responses"]["304"] = {"description": "Not changed since the ETag that was sent."}
    return made
