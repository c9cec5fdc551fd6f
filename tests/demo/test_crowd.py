from __future__ import annotations

from pathlib import Path

from mina_ops.demo.crowd import last_report


def test_the_last_whole_report_counts(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text('{"requests": 1}\nWarning: {odd}\n{"requests": 2}\nnoise\n{"requests": 3')
    assert last_report(log) == {"requests": 2}


def test_before_the_first_report_there_is_none(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("starting\n{\n")
    assert last_report(log) == {}


def test_a_report_is_found_at_the_end_of_a_long_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("x" * 1_000_000 + '\n{"requests": 9}\n')
    assert last_report(log) == {"requests": 9}
