"""What an `Accept` header asks for."""

from __future__ import annotations

import pytest

from mina_ops.app.web.answers import wants

HEALTH = "application/health+json"


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        ("application/health+json", True),
        ("text/html, application/health+json;q=0.5", True),
        ("Application/Health+JSON; q=1", True),
        ("application/health+json;q=0", False),
        ("application/health+json; q=0.0, application/json", False),
        ("application/health+jsonp", False),
        ("x-application/health+json", False),
        ("*/*", False),
        ("", False),
        (None, False),
    ],
)
def test_a_media_type_is_wanted_by_its_name_and_not_with_weight_0(
    accept: str | None, wanted: bool
) -> None:
    assert wants(accept, HEALTH) is wanted
