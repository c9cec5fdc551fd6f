"""A flag's fields: what may be stored, and that it is stored exactly."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mina_ops.app.flags import limits
from mina_ops.app.flags.model import Flag, from_bytes, from_json, stored
from mina_ops.errors import InvalidRequest

CONDITION = {"attribute": "plan", "operator": "in", "values": ["pro"]}

names = st.text("abcdefghij_.-", min_size=1, max_size=10).map(lambda text: f"a{text}")
texts = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=20
)
percents = st.integers(0, 100_000).map(lambda steps: steps / 1000)
numbers = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False, width=32)
conditions = st.builds(
    dict,
    attribute=names,
    operator=st.sampled_from(["in", "not_in"]),
    values=st.lists(texts | st.booleans(), min_size=1, max_size=3),
)
rules = st.fixed_dictionaries(
    {"conditions": st.lists(conditions, min_size=1, max_size=2)},
    optional={"rollout_percent": percents},
)
fields = st.fixed_dictionaries(
    {},
    optional={
        "enabled": st.booleans(),
        "rollout_percent": percents,
        "salt": texts | st.none(),
        "allow": st.lists(texts, max_size=4),
        "deny": st.lists(texts, max_size=4),
        "rules": st.lists(rules, max_size=3),
        "colours": st.lists(st.sampled_from(["blue", "green"]), max_size=4),
        "minimum_release": st.sampled_from(["v1.2", "2.5.0-rc.1", None]),
        "release": texts | st.none(),
        "owner": texts | st.none(),
        "expires": st.sampled_from(["2026-12-31", "2026-12-31T10:00:00+00:00"]),
        "on_unknown": st.sampled_from(limits.ON_UNKNOWN),
        "metadata": st.dictionaries(names, texts | st.booleans() | numbers, max_size=3),
        "variants": st.dictionaries(names, texts, max_size=3),
    },
)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(fields)
def test_a_flag_is_read_back_as_it_was_written(values: dict[str, Any]) -> None:
    flag = Flag("a").changed(values)
    assert from_bytes(flag.to_bytes()) == flag
    assert from_json(json.loads(json.dumps(flag.to_json()))) == flag


@given(fields)
def test_equal_flags_are_equal_bytes_whatever_the_order_of_their_fields(
    values: dict[str, Any],
) -> None:
    forwards = Flag("a").changed(values)
    backwards = Flag("a")
    for name, value in reversed(list(values.items())):
        backwards = backwards.changed({name: value})
    assert forwards.to_bytes() == backwards.to_bytes()


def test_a_new_flag_is_off_and_holds_nothing_but_its_key() -> None:
    assert Flag("audio").enabled is False
    assert Flag("audio").to_bytes() == b'{"key":"audio"}'


def test_fields_that_are_not_named_stay() -> None:
    flag = Flag("a").changed({"enabled": True, "rollout_percent": 12.5, "owner": "ana"})
    assert flag.changed({"enabled": False}).to_json() == {**flag.to_json(), "enabled": False}


@pytest.mark.parametrize(
    "key",
    [None, 7, "", "A", "a b", "a/b", "a\n", "-a", ".a", ":epoch", "a" * 129, "ä", "a\0", ["a"], {}],
)
def test_a_key_that_could_not_stand_in_a_path_is_refused(key: object) -> None:
    with pytest.raises(InvalidRequest) as caught:
        from_json({"key": key})
    assert caught.value.field == "key"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("enabled", 1),
        ("enabled", "true"),
        ("enabled", None),
        ("rollout_percent", True),
        ("rollout_percent", "10"),
        ("rollout_percent", -0.001),
        ("rollout_percent", 100.001),
        ("rollout_percent", 0.0005),
        ("rollout_percent", float("nan")),
        ("rollout_percent", float("inf")),
        ("rollout_percent", 10**400),
        ("salt", ""),
        ("salt", "\ud800"),
        ("owner", "a" * 257),
        ("owner", "a\0b"),
        ("allow", "7"),
        ("allow", [7]),
        ("deny", ["x"] * 1001),
        ("rules", {}),
        ("rules", [{}]),
        ("rules", [{"conditions": []}]),
        ("rules", [{"conditions": [CONDITION], "else": 1}]),
        ("rules", [{"conditions": [{**CONDITION, "operator": "regex"}]}]),
        ("rules", [{"conditions": [{**CONDITION, "operator": ["in"]}]}]),
        ("rules", [{"conditions": [{**CONDITION, "values": []}]}]),
        ("rules", [{"conditions": [{**CONDITION, "values": [None]}]}]),
        ("rules", [{"conditions": [{**CONDITION, "operator": "less", "values": ["x"]}]}]),
        ("rules", [{"conditions": [{**CONDITION, "operator": "starts_with", "values": [1]}]}]),
        ("rules", [{"conditions": [{**CONDITION, "attribute": ""}]}]),
        ("rules", [{"conditions": [CONDITION], "variant": "unheard"}]),
        ("rules", [{"conditions": [CONDITION]}] * 51),
        ("colours", ["blue green"]),
        ("minimum_release", "latest"),
        ("minimum_release", "9" * 65),
        ("expires", "tomorrow"),
        ("on_unknown", "maybe"),
        ("on_unknown", ["off"]),
        ("metadata", {"a": None}),
        ("metadata", {"a b": 1}),
        ("variants", {"a": None}),
        ("variants", {"a": [1]}),
        ("variants", {"a": "x", "b": 1}),
        ("variants", {"": "x"}),
        ("variants", {"a": {"b": float("nan")}}),
        ("variants", {"a": {"b": {"\0": 1}}}),
        ("variants", {f"v{n}": n for n in range(51)}),
        ("weights", {"unheard": 1}),
        ("weights", {"a": -1}),
        ("unheard", 1),
        ("key", "b"),
    ],
)
def test_a_value_that_makes_no_sense_is_refused_by_the_name_of_its_field(
    field: str, value: object
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        Flag("a").changed({field: value})
    assert caught.value.field == field


def test_a_value_nested_too_deep_is_refused() -> None:
    deep: dict[str, Any] = {}
    for _ in range(12):
        deep = {"a": deep}
    with pytest.raises(InvalidRequest, match="deeper"):
        Flag("a").changed({"variants": {"x": deep}})


def test_a_flag_too_large_to_be_read_by_every_process_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="larger"):
        stored(Flag("a").changed({"allow": [f"{n:0256d}" for n in range(1000)]}))


def test_weights_that_are_all_zero_are_refused() -> None:
    with pytest.raises(InvalidRequest, match="all be 0"):
        Flag("a").changed({"variants": {"x": 1, "y": 2}, "weights": {"x": 0, "y": 0}})


@settings(max_examples=150)
@given(st.sampled_from([*limits.FIELDS, "unheard"]), anything)
def test_any_json_value_is_stored_or_refused_and_nothing_else(field: str, value: Any) -> None:
    try:
        flag = Flag("a").changed({field: value})
    except InvalidRequest:
        return
    assert from_bytes(flag.to_bytes()) == flag


@given(st.binary(max_size=60) | anything.map(lambda value: json.dumps(value).encode()))
def test_a_damaged_entry_is_an_error_that_the_snapshot_expects(raw: bytes) -> None:
    try:
        assert isinstance(from_bytes(raw), Flag)
    except (ValueError, InvalidRequest):
        return
