"""The login in the OpenAPI document, or what to do where there is none."""

from __future__ import annotations

from mina_ops.app.web.openapi.forms import TEXT, Schema, record
from mina_ops.app.web.openapi.operations import JSON, Contract, operation

PATH = "/api/auth/login"
NONE = (
    f"`POST {PATH}` is not served here: send `Authorization: Bearer` with a token (`mina-ops token "
    "new NAME` makes one), or give the setting `MINA_OPS_LOGIN`."
)
OF_THE_HOST = (
    f"`{PATH}` is the host's own; the cookie of its login is good for what needs an admin."
)
_FILLED: Schema = {**TEXT, "minLength": 1, "maxLength": 512}
CREDENTIALS = record({"username": _FILLED, "password": _FILLED}, closed=True)


def contract() -> Contract:
    """What the login takes and answers."""
    post = operation(
        "The host's session cookie for a username and password.",
        "admin",
        {200: "LoggedIn"},
        *(400, 401, 403, 413, 429, 503),
        body="Credentials",
    )
    del post["security"]  # nobody has to be somebody yet
    content = post["requestBody"]["content"]
    content["application/x-www-form-urlencoded"] = content[JSON]
    schemas = {
        "Credentials": CREDENTIALS,
        "LoggedIn": record({"status": {"const": "logged_in"}, "user": TEXT}),
    }
    return Contract({PATH: {"post": post}}, schemas)
