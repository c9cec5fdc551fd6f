from __future__ import annotations

from pathlib import Path

import pytest

from mina_ops.errors import OperatorError
from mina_ops.operator.release.control import Control


def test_requests_are_taken_once_in_order(tmp_path: Path) -> None:
    asking, taking = Control(tmp_path), Control(tmp_path)
    asking.ask("pause", "lunch")
    asking.ask("promote")
    first, second = taking.take(), taking.take()
    assert first is not None
    assert second is not None
    assert (first.kind, first.why, second.kind) == ("pause", "lunch", "promote")
    assert taking.take() is None


def test_an_abort_outranks_what_was_asked_before_and_after(tmp_path: Path) -> None:
    control = Control(tmp_path)
    for kind in ("promote", "abort", "promote"):
        control.ask(kind)
    taken = control.take()
    assert taken is not None
    assert taken.kind == "abort"
    assert control.take() is None


def test_a_resumed_release_forgets_old_requests_but_not_an_abort(tmp_path: Path) -> None:
    Control(tmp_path).ask("promote")
    resumed = Control(tmp_path)
    resumed.skip_old()
    assert resumed.take() is None
    Control(tmp_path).ask("abort")
    resumed = Control(tmp_path)
    resumed.skip_old()
    taken = resumed.take()
    assert taken is not None
    assert taken.kind == "abort"


def test_without_any_request_there_is_none(tmp_path: Path) -> None:
    assert Control(tmp_path).take() is None


def test_a_damaged_line_is_passed_over_and_those_after_it_count(tmp_path: Path) -> None:
    control = Control(tmp_path)
    control.ask("pause")
    with (tmp_path / "requests.jsonl").open("ab") as file:
        file.write(b'\xff\n{"kind": "dance", "who": "x", "why": ""}\n["abort"]\n')
    control.ask("promote")
    kinds = [request.kind for request in iter(control.take, None)]
    assert kinds == ["pause", "promote"]


def test_who_takes_one_kind_leaves_the_others(tmp_path: Path) -> None:
    control = Control(tmp_path)
    for kind in ("pause", "promote"):
        control.ask(kind)
    assert control.take("abort") is None
    taken = control.take("promote")
    assert taken is not None
    assert taken.kind == "promote"
    left = control.take()
    assert left is not None
    assert left.kind == "pause"


def test_old_requests_of_one_kind_can_be_passed_over(tmp_path: Path) -> None:
    control = Control(tmp_path)
    for kind in ("promote", "pause"):
        control.ask(kind)
    control.skip_old("promote")
    assert control.take("promote") is None
    assert control.take("pause") is not None


def test_requests_that_cannot_be_read_are_an_error_since_nobody_could_abort(tmp_path: Path) -> None:
    (tmp_path / "requests.jsonl").mkdir()
    with pytest.raises(OperatorError, match="cannot be read"):
        Control(tmp_path).take()
