"""What the code accepts the document accepts, and the other way round: a whole validator agrees."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mina_ops.app.admin import token_contract as tokens
from mina_ops.app.admin.contract import QUERY as AUDIT_QUERY
from mina_ops.app.drain.contract import ORDER
from mina_ops.app.flags import contract as flags
from mina_ops.app.flags import limits
from mina_ops.app.flags.model import Flag, checked, stored
from mina_ops.app.leases import contract as leases
from mina_ops.app.login.contract import CREDENTIALS
from mina_ops.app.metrics.contract import query
from mina_ops.app.releases import contract as releases
from mina_ops.app.releases.freeze_routes import SCHEMAS as FREEZE
from mina_ops.app.web.openapi.check import query_values, require_body
from mina_ops.errors import InvalidRequest
from tests.app.flags.test_model import CONDITION
from tests.app.flags.test_model import fields as sound_fields
from tests.app.web.openapi.documented import whole

DOCUMENT = whole()
BODIES: Mapping[str, Mapping[str, Any]] = {
    "FlagInput": flags.FLAG_INPUT,
    "Undo": flags.UNDO,
    "UndoChange": flags.UNDO_CHANGE,
    "Release": flags.RELEASE,
    "Recover": flags.RECOVER,
    "DrainOrder": ORDER,
    "Credentials": CREDENTIALS,
    "FreezeWanted": FREEZE["FreezeWanted"],
    "LeaseWanted": leases.SCHEMAS["LeaseWanted"],
    "LeaseRenewed": leases.SCHEMAS["LeaseRenewed"],
    "TokenWanted": tokens.SCHEMAS["TokenWanted"],
    "TokenRotation": tokens.SCHEMAS["TokenRotation"],
}
QUERIES = {
    "flags": flags.LIST_QUERY,
    "history": flags.HISTORY_QUERY,
    "report": flags.REPORT_QUERY,
    "delete": flags.DELETE_QUERY,
    "audit": AUDIT_QUERY,
    "lease": leases.QUERY,
    "metrics": query(("blue", "green"), "blue"),
}

# JSON that every reader understands alike: no lone surrogates, no numbers beyond a double.
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
edges = st.sampled_from(
    ["", "a", "a\n", "a" * 256, "a" * 257, "\0", "2026-12-31", "2026-02-30", "v2.5.0-rc.1",
     "2026-12-31T10:00:00Z", "2026-12-31T24:00:00Z", "2.5.0rc1", "v2.5.0-12-gabc1234", "latest",
     0, 100, 100.001, 33.333, 0.0005, 1, -1, 2**53, 1e300, True, False, None, [], {}, CONDITION,
     {"conditions": [CONDITION]}, {"conditions": [CONDITION], "else": 1}, {"a": "x", "b": 1}]
)  # fmt: skip
numbers = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    edges | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=12,
)


@cache
def _allows(name: str) -> jsonschema_rs.Validator:
    schema = {**DOCUMENT["components"]["schemas"][name], "components": DOCUMENT["components"]}
    return jsonschema_rs.Draft202012Validator(schema, validate_formats=True)


def _accepts(name: str, body: Mapping[str, Any]) -> bool:
    try:
        if name == "FlagInput":  # its fields are checked where the flag is made
            require_body(body, flags.FLAG_SET)
            checked({field: body[field] for field in body if field != "confirm_seconds"})
        else:
            require_body(body, dict(BODIES[name]), limits.NAMED)
    except InvalidRequest:
        return False
    return True


@pytest.mark.parametrize("name", BODIES)
def test_a_body_is_accepted_if_and_only_if_the_document_allows_it(name: str) -> None:
    validator, fields = _allows(name), list(BODIES[name]["properties"])
    odd = st.dictionaries(st.sampled_from([*fields, "unheard"]), values, max_size=3)
    sound = sound_fields if name == "FlagInput" else st.just({})
    needed: dict[str, Any] = {
        "key": "audio",
        "id": "a" * 8,
        "change": "1",
        "release": "v1",
        "action": "restore",
    }
    needed |= {"name": "ci", "scopes": ["read"], "username": "ana", "password": "open"}
    whole_ = {field: needed[field] for field in BODIES[name]["required"]}

    @settings(max_examples=60, deadline=None)
    @given(st.booleans(), sound, odd)
    def check(is_whole: bool, good: dict[str, Any], strange: dict[str, Any]) -> None:
        body = {**(whole_ if is_whole else {}), **good, **strange}
        assert _accepts(name, body) is validator.is_valid(body), body

    check()


@settings(max_examples=150, deadline=None)
@example("rollout_percent", 0.07)
@example("rollout_percent", 33.333)
@example("minimum_release", "v2.5.0-rc.1")
@example("description", "d" * 1000)
@example("description", "d" * 1001)
@example("expires", "2028-02-29")
@example("expires", "2026-02-29")
@example("expires", "2026-12-31T10:00:00")
@given(st.sampled_from(limits.FIELDS), values | st.builds(lambda v: {"a": v}, values))
def test_a_flag_is_stored_if_and_only_if_the_document_allows_it(field: str, value: Any) -> None:
    allowed = _allows("FlagInput").is_valid({"key": "audio", field: value})
    try:
        stored(Flag("audio").changed({field: value}))
        is_stored = True
    except InvalidRequest as error:
        # Three rules are about several fields at once, which no schema can say.
        told = str(error)
        between = "name variants that the flag lacks", "must not all be 0", "larger than"
        is_stored = any(rule in told for rule in between)
    assert is_stored is allowed, (field, value)


@pytest.mark.parametrize("name", QUERIES)
def test_a_query_is_accepted_if_and_only_if_its_schemas_allow_it(name: str) -> None:
    known = QUERIES[name]
    words = texts | st.sampled_from(
        ["0", "1", "60", "060", "3600", "3601", "1e3", "1.5", "-1", "nan", "inf", "true", "1"]
    )

    @settings(max_examples=60, deadline=None)
    @given(st.sampled_from(list(known)), words)
    def check(parameter: str, text: str) -> None:
        schema = known[parameter]
        value: Any = text
        is_text = schema.get("type") not in ("integer", "number", "boolean")
        if not is_text:
            try:
                value = json.loads(text, parse_constant=lambda word: word)
            except ValueError:
                value = text
        # A whole number has no other form in a query than its digits.
        is_plain = schema.get("type") != "integer" or text.lstrip("-").isdigit()
        is_plain = is_text or (is_plain and text == text.strip())
        allowed = jsonschema_rs.Draft202012Validator(schema).is_valid(value) and is_plain
        try:
            query_values({parameter: text}, known)
            refused = None
        except InvalidRequest as error:
            refused = error.field
        assert refused == (None if allowed else parameter), text

    check()


def test_every_request_body_of_the_document_is_one_that_is_tested() -> None:
    named = {
        operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
        for item in DOCUMENT["paths"].values()
        for operation in item.values()
        if "requestBody" in operation
    }
    # An import is checked flag by flag; OFREP answers in its own words.
    assert named - set(BODIES) == {"FlagsInput", "OfrepRequest", "ReleaseReport"}


def test_every_query_parameter_of_the_document_is_one_that_is_tested() -> None:
    named = {
        parameter["name"]
        for item in DOCUMENT["paths"].values()
        for operation in item.values()
        for parameter in operation.get("parameters", ())
        if parameter["in"] == "query"
    }
    tested = {name for known in QUERIES.values() for name in known}
    # Health takes any text for these: a probe is never refused for its query.
    assert named - tested == {"verbose", "exclude", "group"}


@settings(max_examples=100, deadline=None)
@given(
    st.booleans(),
    st.dictionaries(st.sampled_from([*releases.REPORT["properties"], "request"]), values),
)
def test_a_release_is_reported_if_and_only_if_the_document_allows_it(
    is_whole: bool, odd: dict[str, Any]
) -> None:
    texts_ = dict.fromkeys(("version", "from", "to", "phase"), "x")
    body = {**({**texts_, "percent": 25, "ended": False} if is_whole else {}), **odd}
    schema = releases.REQUEST if "request" in body else releases.REPORT
    try:
        require_body(body, schema)
        accepted = True
    except InvalidRequest:
        accepted = False
    assert accepted is _allows("ReleaseReport").is_valid(body)
