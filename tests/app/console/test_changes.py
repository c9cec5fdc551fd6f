"""What the line of a change says, for somebody who reads it in a hurry."""

from __future__ import annotations

from typing import Any

import pytest

from mina_ops.app.admin.audit import entry_of
from mina_ops.app.console.changes import mark, text

_TOLD = '{"version": "v2.5.0", "from": "blue", "to": "green"%s}'


def _entry(action: str, after: str, subject: str = "20261129-120000-v2.5.0") -> Any:
    return entry_of({"action": action, "subject": subject, "before": "null", "after": after})


@pytest.mark.parametrize(
    ("action", "more", "says"),
    [
        ("release.begin", "", "release v2.5.0 begun: blue to green"),
        ("release.done", ', "reasons": []', "release v2.5.0 done"),
        (
            "release.rolled_back",
            ', "reasons": ["13 of 51 requests failed"]',
            "release v2.5.0 rolled back: 13 of 51 requests failed",
        ),
    ],
)
def test_a_release_is_told_by_its_version_and_why(action: str, more: str, says: str) -> None:
    entry = _entry(action, _TOLD % more)
    assert text(entry) == says
    assert mark(entry) == {"at": entry.at, "kind": "release", "text": says}


def test_an_entry_of_another_release_of_ours_is_told_by_what_it_has() -> None:
    assert text(_entry("release.done", "null")) == "release 20261129-120000-v2.5.0 done"
    assert text(_entry("release.abort", "null")) == (
        "abort asked of release 20261129-120000-v2.5.0"
    )
