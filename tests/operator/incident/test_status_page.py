"""The status page is whole at every moment, escaped, and keeps its history."""

from __future__ import annotations

import json
import os
import stat
import threading
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from mina_ops import locks
from mina_ops.errors import ConfigurationError
from mina_ops.files import NotWritten
from mina_ops.operator.incident import status_page

NOW = datetime(2025, 10, 25, 9, 55, tzinfo=UTC)


def test_update_is_published_newest_first(tmp_path: Path) -> None:
    status_page.update(tmp_path, "Service temporarily unavailable.\n", "outage", NOW)
    status_page.update(tmp_path, "It is back.", "operational", NOW)
    value = json.loads((tmp_path / "status.json").read_text())
    assert value["state"] == "operational"
    assert [item["text"] for item in value["updates"]] == [
        "It is back.",
        "Service temporarily unavailable.",
    ]
    html = (tmp_path / "index.html").read_text()
    assert html.index("It is back.") < html.index("Service temporarily")
    assert "All systems operational" in html
    assert (tmp_path / "index.html").stat().st_mode & 0o777 == 0o644


def test_text_is_escaped(tmp_path: Path) -> None:
    status_page.update(tmp_path, "<script>alert('x')</script> & {curly}", "degraded", NOW)
    html = (tmp_path / "index.html").read_text()
    assert "<script>" not in html
    assert "&lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt; &amp; {curly}" in html


@pytest.mark.parametrize(
    ("text", "state"), [("", "outage"), (" \n", "outage"), ("x" * 2001, "outage"), ("x", "bad")]
)
def test_bad_update_changes_nothing(tmp_path: Path, text: str, state: str) -> None:
    with pytest.raises(ConfigurationError):
        status_page.update(tmp_path, text, state, NOW)
    assert list(tmp_path.iterdir()) == []


def test_damaged_file_is_named_and_left(tmp_path: Path) -> None:
    (tmp_path / "status.json").write_text('{"updates": [{"at"')
    with pytest.raises(ConfigurationError, match="move it away"):
        status_page.update(tmp_path, "x", "outage", NOW)
    assert (tmp_path / "status.json").read_text() == '{"updates": [{"at"'


def test_history_is_bounded(tmp_path: Path) -> None:
    for number in range(60):
        status_page.update(tmp_path, f"update {number}", "outage", NOW)
    assert len(status_page.read(tmp_path)) == 50


def test_two_writers_lose_no_update(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status_page, "held", partial(locks.held, wait_seconds=50))

    def write(name: str) -> None:
        for number in range(10):
            status_page.update(tmp_path, f"{name} {number}", "outage", NOW)

    threads = [threading.Thread(target=write, args=(name,)) for name in ("a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(status_page.read(tmp_path)) == 20


def test_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "status").write_text("")
    with pytest.raises(NotWritten, match="cannot be made"):
        status_page.update(tmp_path / "status", "x", "outage", NOW)


def test_web_server_that_is_another_user_may_look_into_a_new_folder(tmp_path: Path) -> None:
    # As the scripts run: what they write is nobody else's, but for this page.
    before = os.umask(0o077)
    try:
        status_page.update(tmp_path / "www" / "status", "x", "outage", NOW)
    finally:
        os.umask(before)
    for made in (tmp_path / "www", tmp_path / "www" / "status"):
        assert stat.S_IMODE(made.stat().st_mode) == 0o755
