from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mina_ops.app.metrics.labels import METHODS, is_error, method_label, status_label


@given(st.text(max_size=20))
def test_methods_have_a_fixed_set_of_labels(method: str) -> None:
    assert method_label(method) in METHODS | {"_OTHER"}


@pytest.mark.parametrize("method", ["GET", "POST", "PATCH", "DELETE"])
def test_a_known_method_is_its_own_label(method: str) -> None:
    assert method_label(method) == method


@given(st.text(max_size=20))
def test_statuses_have_a_fixed_set_of_labels(line: str) -> None:
    label = status_label(line)
    assert label == "_OTHER" or 100 <= int(label) <= 599


@pytest.mark.parametrize(
    ("line", "label"),
    [("200 OK", "200"), ("404", "404"), ("599 Odd", "599")]
    + [(line, "_OTHER") for line in ("600 No", "99 No", "", "2", "OK", "\u0662\u0660\u0660 OK")],
)
def test_a_status_is_labelled_by_its_code(line: str, label: str) -> None:
    assert status_label(line) == label


def test_errors_are_those_of_the_server() -> None:
    assert [is_error(line) for line in ("500 X", "503 X", "404 X", "200 OK")] == [
        True,
        True,
        False,
        False,
    ]
