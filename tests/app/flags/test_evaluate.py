"""Who gets a flag, in which order the fields decide, and that shares are fair."""

from __future__ import annotations

import itertools
import json
import random
import statistics
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mina_ops.app.flags.evaluate import Place, Undecided, bucket, compile_flag, decide
from mina_ops.app.flags.model import Flag
from tests.app.flags.conftest import PLACE
from tests.app.flags.test_model import fields
from tests.support.conformance import conformance

units = st.text(max_size=12) | st.integers() | st.none()
attributes = st.dictionaries(
    st.sampled_from(["plan", "age", "aa", "ab"]),
    st.text(max_size=5) | st.booleans() | st.integers() | st.lists(st.text(max_size=3)) | st.none(),
)


def flag(**values: Any) -> Flag:
    return Flag("audio").changed({"enabled": True, **values})


def on(given_flag: Flag, unit: object = None, place: Place = PLACE, **attributes: Any) -> bool:
    compiled = compile_flag(given_flag, place)
    return compiled if isinstance(compiled, bool) else compiled(unit, attributes)


def rule(attribute: str, operator: str, *values: Any, **more: Any) -> dict[str, Any]:
    condition = {"attribute": attribute, "operator": operator, "values": list(values)}
    return {"conditions": [condition], **more}


@given(fields, units, attributes)
def test_the_compiled_flag_and_the_full_decision_agree(
    values: dict[str, Any], unit: object, given_attributes: dict[str, Any]
) -> None:
    made = flag(**values)
    assert on(made, unit, **given_attributes) == decide(made, PLACE, unit, given_attributes).enabled


def test_a_killed_flag_is_off_even_for_those_on_its_list() -> None:
    made = flag(enabled=False, allow=["7"], rules=[rule("plan", "in", "pro")])
    assert on(made, "7", plan="pro") is False
    assert compile_flag(made, PLACE) is False


def test_deny_wins_over_allow_and_allow_over_rules_and_rules_over_the_percentage() -> None:
    made = flag(
        rollout_percent=0,
        allow=["7", "8"],
        deny=["8"],
        rules=[rule("plan", "in", "free", rollout_percent=0), rule("age", "greater", 17)],
    )
    assert on(made, "7", plan="free") is True
    assert on(made, "8", age=30) is False
    assert on(made, "9", plan="free", age=30) is False
    assert on(made, "9", age=30) is True
    assert on(made, "9") is False


def test_a_unit_may_be_a_number() -> None:
    assert on(flag(rollout_percent=0, allow=["7"]), 7) is True
    made = flag(rollout_percent=50)
    assert all(on(made, n) == on(made, str(n)) for n in range(200))


def test_without_a_unit_a_flag_below_100_percent_is_off() -> None:
    assert on(flag(rollout_percent=99.999)) is False
    assert on(flag(rollout_percent=100)) is True


def test_a_flag_limited_to_a_colour_is_off_on_the_other() -> None:
    made = flag(colours=["green"])
    assert on(made, place=Place("green", "v2.5.0")) is True
    assert on(made, place=Place("blue", "v2.5.0")) is False


def test_old_code_never_reports_a_flag_of_a_new_release_on() -> None:
    made = flag(minimum_release="v2.5.0", allow=["7"])
    assert on(made, "7", place=Place("blue", "v2.4.5")) is False
    assert on(made, "7", place=Place("blue", "v2.5.0-rc.1")) is False
    assert on(made, "7", place=Place("green", "v2.5.0")) is True
    assert on(made, "7", place=Place("green", "v2.10.0")) is True


def test_a_process_without_a_release_number_answers_as_the_flag_wishes() -> None:
    nowhere = Place("blue", "unknown")
    assert on(flag(minimum_release="v2.5.0"), place=nowhere) is False
    assert on(flag(minimum_release="v2.5.0", on_unknown="on"), place=nowhere) is True
    with pytest.raises(Undecided):
        on(flag(minimum_release="v2.5.0", on_unknown="error"), place=nowhere)
    with pytest.raises(Undecided):
        decide(flag(minimum_release="v2.5.0", on_unknown="error"), nowhere, None, {})


_UUID = UUID("6f1fd4a2-4d52-4f0c-a6c3-0d9ff2e0a5a1")


@pytest.mark.parametrize(
    ("condition", "given_attributes", "holds"),
    [
        (("plan", "in", "pro", "team"), {"plan": "team"}, True),
        (("plan", "in", "pro"), {"plan": "free"}, False),
        (("plan", "in", "pro"), {}, False),
        (("plan", "in", "pro"), {"plan": None}, False),
        (("groups", "in", "beta"), {"groups": ["alpha", "beta"]}, True),
        (("plan", "not_in", "pro"), {"plan": "free"}, True),
        (("plan", "not_in", "pro", "free"), {"plan": "free"}, False),
        (("plan", "not_in", "pro"), {}, True),
        (("plan", "not_in", "pro"), {"plan": None}, True),
        (("groups", "not_in", "beta"), {"groups": ["alpha", "beta"]}, False),
        (("user", "in", "12345"), {"user": 12345}, True),
        (("user", "in", 12345), {"user": "12345"}, True),
        (("user", "not_in", "12345"), {"user": 12345}, False),
        (("user", "in", "12345"), {"user": 12345.0}, True),
        (("user", "in", "012345"), {"user": 12345}, False),
        (("user", "in", "1.5"), {"user": 1.5}, True),
        (("users", "in", "7"), {"users": [6, 7]}, True),
        (("user", "in", str(_UUID)), {"user": _UUID}, True),
        (("staff", "in", "true"), {"staff": True}, True),
        (("plan", "in", "None"), {"plan": None}, False),
        (("user", "starts_with", "123"), {"user": 12345}, True),
        (("users", "contains", "7"), {"users": [6, 7]}, True),
        (("staff", "in", True), {"staff": True}, True),
        (("staff", "in", True), {"staff": 1}, False),
        (("level", "in", 1), {"level": True}, False),
        (("mail", "ends_with", "@mina.com"), {"mail": "ana@mina.com"}, True),
        (("mail", "starts_with", "ana"), {"mail": 7}, False),
        (("mail", "contains", "@"), {"mail": "ana@mina.com"}, True),
        (("mail", "contains", "x"), {"mail": 7}, False),
        (("age", "greater", 17), {"age": 18}, True),
        (("age", "greater", 17), {"age": "18"}, False),
        (("age", "greater", 17), {"age": True}, False),
        (("age", "less", 18), {"age": 17.5}, True),
        (("age", "less_or_equal", 18), {"age": 18}, True),
        (("age", "greater_or_equal", 18), {"age": 17}, False),
    ],
)
def test_a_condition_compares_like_with_like(
    condition: tuple[Any, ...], given_attributes: dict[str, Any], holds: bool
) -> None:
    made = flag(rollout_percent=0, rules=[rule(*condition)])
    assert on(made, **given_attributes) is holds


def test_all_conditions_of_a_rule_must_hold() -> None:
    both = rule("plan", "in", "pro")["conditions"] + rule("age", "greater", 17)["conditions"]
    made = flag(rollout_percent=0, rules=[{"conditions": both}])
    assert on(made, plan="pro", age=18) is True
    assert on(made, plan="pro", age=17) is False


def test_a_unit_that_cannot_be_encoded_breaks_nothing() -> None:
    made = flag(rollout_percent=50)
    assert on(made, "\ud800") == decide(made, PLACE, "\ud800", {}).enabled


def test_variants_are_shared_out_by_weight_and_stay_with_their_unit() -> None:
    made = flag(variants={"red": "r", "blue": "b", "green": "g"}, weights={"red": 1, "blue": 3})
    shares = [decide(made, PLACE, str(n), {}).variant for n in range(20_000)]
    assert shares == [decide(made, PLACE, str(n), {}).variant for n in range(20_000)]
    assert 0.24 < shares.count("red") / len(shares) < 0.26
    assert shares.count("green") == 0


def test_a_variant_is_not_moved_by_a_growing_percentage() -> None:
    variants = {"red": "r", "blue": "b"}
    few, many = flag(variants=variants, rollout_percent=10), flag(variants=variants)
    for n in range(2_000):
        first = decide(few, PLACE, n, {})
        if first.enabled:
            assert decide(many, PLACE, n, {}).variant == first.variant


def test_those_who_got_the_flag_first_are_no_variants_alone() -> None:
    made = flag(variants={"red": "r", "blue": "b"}, rollout_percent=10)
    first = [d.variant for n in range(20_000) if (d := decide(made, PLACE, n, {})).enabled]
    assert 0.45 < first.count("red") / len(first) < 0.55


def test_without_a_unit_there_is_no_choice_among_variants() -> None:
    split = decide(flag(variants={"red": "r", "blue": "b"}), PLACE, None, {})
    assert (split.enabled, split.variant, split.reason) == (False, None, "no_unit")
    single = decide(flag(variants={"red": "r"}), PLACE, None, {})
    assert (single.enabled, single.value, single.reason) == (True, "r", "full")


def test_a_rule_may_name_the_variant() -> None:
    made = flag(
        variants={"red": "r", "blue": "b"},
        weights={"red": 1},
        rules=[rule("plan", "in", "pro", variant="blue")],
    )
    assert decide(made, PLACE, "7", {"plan": "pro"}).value == "b"
    assert decide(made, PLACE, "7", {}).value == "r"


def test_a_flag_with_boolean_variants_is_on_as_its_variant_says() -> None:
    made = flag(variants={"yes": True, "no": False}, weights={"no": 1})
    assert on(made, "7") is False
    assert decide(made, PLACE, "7", {}).variant == "no"


@settings(max_examples=200)
@given(
    st.integers(0, 100_000),
    st.integers(0, 100_000),
    st.text("abcxyz", min_size=1, max_size=8),
    st.lists(st.text(max_size=12), min_size=1, max_size=40),
)
def test_growing_a_percentage_never_removes_a_unit(
    one: int, other: int, salt: str, some_units: list[str]
) -> None:
    low, high = sorted([one, other])
    small = flag(salt=salt, rollout_percent=low / 1000)
    large = flag(salt=salt, rollout_percent=high / 1000)
    for unit in some_units:
        assert on(large, unit) or not on(small, unit)


@pytest.mark.parametrize("percent", [0.001, 0.5, 10, 25, 50, 99.5])
def test_a_percentage_is_met(percent: float) -> None:
    count = 20_000
    compiled: Any = compile_flag(flag(rollout_percent=percent), PLACE)
    found = sum(compiled(unit, {}) for unit in range(count))
    share = percent / 100
    deviation = (share * (1 - share) / count) ** 0.5
    assert abs(found / count - share) < 4.5 * deviation + 1 / count


def test_a_new_salt_draws_new_units() -> None:
    one: Any = compile_flag(flag(rollout_percent=10, salt="one"), PLACE)
    two: Any = compile_flag(flag(rollout_percent=10, salt="two"), PLACE)
    first = {n for n in range(20_000) if one(n, {})}
    second = {n for n in range(20_000) if two(n, {})}
    assert 0.08 < len(first & second) / len(first) < 0.12


def test_two_flags_are_independent_as_unleash_asks() -> None:
    """P(B|A) at 10 % each over pairs of random names; the deviation of a fair hash is 0.007."""
    rng = random.Random(5)
    keys = ["".join(rng.choices("abcdefghijklmnop", k=8)) for _ in range(12)]
    chosen = [
        {n for n in range(20_000) if bucket(f"{key}:user-{n}", 100_000) < 10_000} for key in keys
    ]
    overlaps = [len(a & b) / len(a) for a, b in itertools.combinations(chosen, 2)]
    assert abs(statistics.mean(overlaps) - 0.1) < 0.003
    assert statistics.pstdev(overlaps) < 0.0105
    assert max(overlaps) < 0.14


@settings(max_examples=25)
@given(st.text("abcdef_", min_size=1, max_size=12), st.text("abcdef_", min_size=1, max_size=12))
def test_any_two_flags_share_no_more_units_than_chance(one: str, other: str) -> None:
    if one == other:
        return
    first = {n for n in range(3_000) if bucket(f"{one}:{n}", 100_000) < 50_000}
    second = {n for n in range(3_000) if bucket(f"{other}:{n}", 100_000) < 50_000}
    assert 0.42 < len(first & second) / len(first) < 0.58


def _fractions() -> list[tuple[str, str, str, str]]:
    """(flag, text that flagd hashes, expected value, kind) of flagd's `@fractional-v2` vectors."""
    lines = conformance("flagd/fractional.feature").read_text().splitlines()
    found, key, name, rows = [], "", "", False
    for line in map(str.strip, lines):
        if line.startswith("Scenario"):
            name, rows = line, False
        elif 'flag with key "' in line:
            key = line.split('key "')[1].split('"')[0]
        elif line.startswith(("@fractional-v1", "@fractional-nested")):
            rows = False
        elif line.startswith("@fractional-v2"):
            rows = True
        elif line.startswith("Examples:"):
            rows = rows or "hash edge" in name
        elif rows and line.startswith("|") and "value" not in line:
            unit, value = [cell.strip() for cell in line.strip("|").split("|")]
            found.append((key, unit, value, name))
    return found


def _seed(operation: dict[str, Any], key: str) -> tuple[str, list[tuple[str, int]]]:
    parts = operation["fractional"]
    seed, shares = key, parts
    if isinstance(parts[0], dict):
        shares = parts[1:]
        named = parts[0].get("cat", [""])[0]
        seed = named if isinstance(named, str) else key
    return seed, [(share[0], share[1] if len(share) > 1 else 1) for share in shares]


def test_the_bucket_function_agrees_with_flagds_hash_vectors() -> None:
    flags = json.loads(conformance("flagd/testkit-flags.json").read_text())["flags"]
    checked = 0
    for key, unit, value, _ in _fractions():
        stored = flags[key]
        seed, shares = _seed(stored["targeting"], key)
        point = bucket(f"{seed}{unit}", sum(weight for _, weight in shares))
        reached = 0
        for variant, weight in shares:
            if reached <= point < reached + weight:
                assert stored["variants"][variant] == value, (key, unit)
            reached += weight
        checked += 1
    assert checked >= 17
