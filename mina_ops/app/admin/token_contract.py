"""`/admin/tokens` in the OpenAPI document, and the limits of its fields."""

from __future__ import annotations

from collections.abc import Mapping

from mina_ops.app.admin.model import Scope
from mina_ops.app.web.openapi.forms import (
    BOOLEAN,
    NUMBER_OR_NULL,
    TEXT,
    Schema,
    listed,
    or_null,
    record,
    ref,
)
from mina_ops.app.web.openapi.operations import ADMIN, Contract, in_path, operation

NAME: Schema = {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9_.@-]{0,63}$"}
ID: Schema = {"type": "string", "pattern": "^[0-9a-f]{12}$"}
SCOPES = listed({"enum": [str(scope) for scope in Scope]}, minItems=1, maxItems=4)
DAY_SECONDS = 86_400
EXPIRES_SECONDS: Schema = {
    **or_null({"type": "number", "minimum": 60, "maximum": 3660 * DAY_SECONDS}),
    "default": 90 * DAY_SECONDS,
    "description": "How long it holds; null: until it is revoked.",
}
OVERLAP_SECONDS: Schema = {
    "type": "number",
    "minimum": 0,
    "maximum": 30 * DAY_SECONDS,
    "default": DAY_SECONDS,
    "description": "How long the old one holds beside the new one.",
}
_SECRET: Schema = {**TEXT, "description": "The token itself. It is stored nowhere."}

SCHEMAS: Mapping[str, Schema] = {
    "TokenWanted": record(
        {"name": NAME, "scopes": SCOPES, "expires_seconds": EXPIRES_SECONDS},
        "expires_seconds",
        closed=True,
    ),
    "TokenRotation": record({"overlap_seconds": OVERLAP_SECONDS}, "overlap_seconds", closed=True),
    "Token": record(
        {
            "id": ID,
            "name": TEXT,
            "scopes": SCOPES,
            "state": {"enum": ["valid", "expired", "revoked"]},
            "fixed": {**BOOLEAN, "description": "It stands in a setting, and ends with that."},
            "created_at": NUMBER_OR_NULL,
            "created_by": TEXT,
            "expires_at": NUMBER_OR_NULL,
            "revoked_at": NUMBER_OR_NULL,
            "last_used_at": {**NUMBER_OR_NULL, "description": "Unix time, within a minute."},
        }
    ),
    "TokenMade": record({"token": _SECRET, "made": ref("Token")}),
    "Tokens": record({"tokens": listed(ref("Token"))}),
}


def contract() -> Contract:
    """What `/admin/tokens` and what lies below it take and answer."""
    one = in_path("token_id", ID)
    known = (*ADMIN, 503)
    create = operation(
        "Make a token; the answer is the only place where it is ever shown.",
        "tokens",
        {201: "TokenMade"},
        *(400, 409, 413, *known),
        body="TokenWanted",
    )
    create["responses"]["201"]["description"] = "Made."
    rotate = operation(
        "Make a token in the place of another, which holds for a while beside it.",
        "tokens",
        {201: "TokenMade"},
        *(400, 404, 409, 413, *known),
        parameters=(one,),
        body="TokenRotation",
        needs_body=False,
    )
    rotate["responses"]["201"]["description"] = "Made; the old one has got an end."
    listing = operation("All tokens, without their secrets.", "tokens", {200: "Tokens"}, *known)
    revoke = operation(
        "End a token at once.",
        "tokens",
        {200: "Token"},
        *(400, 404, 409, *known),
        parameters=(one,),
    )
    paths = {
        "/admin/tokens": {"get": listing, "post": create},
        "/admin/tokens/{token_id}": {"delete": revoke},
        "/admin/tokens/{token_id}/rotate": {"post": rotate},
    }
    return Contract(paths, SCHEMAS)
