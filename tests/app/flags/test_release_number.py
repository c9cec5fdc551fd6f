from __future__ import annotations

import pytest

from mina_ops.app.flags.release_number import release_number

# Semantic Versioning 2.0.0, section 11, git describe, PEP 440, and the playbook's own names.
IN_ORDER = [
    "v1.0.0-alpha",
    "v1.0.0-alpha.1",
    "v1.0.0-alpha.beta",
    "v1.0.0-beta",
    "v1.0.0-beta.2",
    "v1.0.0-beta.11",
    "v1.0.0-rc.1",
    "v1.0.0-rc.1-3-gabc1234",
    "v1.0.0-rc.1-3-gabc1234-dirty",
    "1.0.0rc2",
    "v1.0.0",
    "v2.4.5",
    "2.5.0.dev3",
    "2.5.0a1",
    "v2.5.0-rc.1-dirty",
    "v2.5.0",
    "v2.5.0-dirty",
    "2.5.0.post1",
    "v2.5.0-2-gabc1234",
    "v2.5.0-12-gabc1234",
    "v2.5.1-hotfix",
    "v2.5.1",
    "v2.10.0",
]


def test_releases_stand_in_the_order_of_semantic_versioning() -> None:
    shuffled = IN_ORDER[1::2] + IN_ORDER[::2]
    assert sorted(shuffled, key=lambda text: release_number(text) or ()) == IN_ORDER


@pytest.mark.parametrize(
    ("one", "other"), [("v2.5", "2.5.0"), ("2.5.0rc1", "v2.5.0-rc.1"), ("2.5.0+build7", "v2.5.0")]
)
def test_the_letter_trailing_zeros_and_build_data_do_not_count(one: str, other: str) -> None:
    assert release_number(one) == release_number(other)


@pytest.mark.parametrize("text", ["unknown", "", "v", "main", "v1.2.x", "\u0661.\u0662"])
def test_a_name_without_a_number_has_no_place_in_the_order(text: str) -> None:
    assert release_number(text) is None
