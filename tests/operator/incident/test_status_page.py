"""The status page is whole at every moment, escaped, and keeps its history."""

from __future__ import annotations

import json
import os
import stat
import threading
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from mina_ops import locks
from mina_ops.errors import ConfigurationError
from mina_ops.files import NotWritten
from mina_ops.operator.incident.status_page import publishing
from mina_ops.operator.incident.status_page.model import Entry, Maintenance, Status
from mina_ops.operator.incident.status_page.publishing import StatusPage, moment

NOW = datetime(2025, 10, 25, 9, 55, tzinfo=UTC)
PARTS = ("Live transcription", "Meetings")


def update(folder: Path, text: str, state: str, *components: str) -> Status:
    page = StatusPage(folder, components=PARTS if components else ())
    return page.publish(Entry(moment(NOW), state, text, components))


def test_update_is_published_newest_first(tmp_path: Path) -> None:
    update(tmp_path, "Service temporarily unavailable.\n", "outage")
    update(tmp_path, "It is back.", "operational")
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
    update(tmp_path, "<script>alert('x')</script> & {curly}", "degraded")
    html = (tmp_path / "index.html").read_text()
    assert "<script>" not in html
    assert "&lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt; &amp; {curly}" in html


@pytest.mark.parametrize(
    ("text", "state"), [("", "outage"), (" \n", "outage"), ("x" * 2001, "outage"), ("x", "bad")]
)
def test_bad_update_changes_nothing(tmp_path: Path, text: str, state: str) -> None:
    with pytest.raises(ConfigurationError):
        update(tmp_path, text, state)
    assert list(tmp_path.iterdir()) == []


def test_damaged_file_is_named_and_left(tmp_path: Path) -> None:
    (tmp_path / "status.json").write_text('{"updates": [{"at"')
    with pytest.raises(ConfigurationError, match="move it away"):
        update(tmp_path, "x", "outage")
    assert (tmp_path / "status.json").read_text() == '{"updates": [{"at"'


def test_history_is_bounded(tmp_path: Path) -> None:
    for number in range(210):
        update(tmp_path, f"update {number}", "outage")
    assert len(StatusPage(tmp_path).read().updates) == 200


def test_two_writers_lose_no_update(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publishing, "held", partial(locks.held, wait_seconds=50))

    def write(name: str) -> None:
        for number in range(10):
            update(tmp_path, f"{name} {number}", "outage")

    threads = [threading.Thread(target=write, args=(name,)) for name in ("a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(StatusPage(tmp_path).read().updates) == 20


def test_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "status").write_text("")
    with pytest.raises(NotWritten, match="cannot be made"):
        update(tmp_path / "status", "x", "outage")


def test_web_server_that_is_another_user_may_look_into_a_new_folder(tmp_path: Path) -> None:
    # As the scripts run: what they write is nobody else's, but for this page.
    before = os.umask(0o077)
    try:
        update(tmp_path / "www" / "status", "x", "outage")
    finally:
        os.umask(before)
    for made in (tmp_path / "www", tmp_path / "www" / "status"):
        assert stat.S_IMODE(made.stat().st_mode) == 0o755


def test_each_component_has_its_state_and_the_worst_is_the_headline(tmp_path: Path) -> None:
    update(tmp_path, "Words come late.", "degraded", "Live transcription")
    status = update(tmp_path, "No new meetings.", "outage", "Meetings")
    assert status.components == {"Live transcription": "degraded", "Meetings": "outage"}
    html = (tmp_path / "index.html").read_text()
    assert "<h1>Mina: Meetings unavailable</h1>" in html
    assert html.index("Live transcription</span><strong") < html.index("Meetings</span><strong")
    update(tmp_path, "Meetings are back.", "operational", "Meetings")
    assert json.loads((tmp_path / "status.json").read_text())["state"] == "degraded"
    page = StatusPage(tmp_path, components=PARTS)
    assert page.publish(Entry(moment(NOW), "operational", "All is back.")).state == "operational"


@pytest.mark.parametrize(
    ("states", "says"),
    [
        (("operational", "operational", "operational"), "All systems operational"),
        (("operational", "degraded", "degraded"), "b and c degraded"),
        (("outage", "degraded", "operational"), "a unavailable"),
        (("outage", "outage", "outage"), "Service unavailable"),
        (("outage", "outage", "outage", "operational"), "3 of 4 components unavailable"),
    ],
)
def test_the_headline_calls_nothing_unavailable_that_works(
    states: tuple[str, ...], says: str
) -> None:
    components = dict(zip("abcd", states, strict=False))
    assert Status(components=components).headline == says


def test_an_unknown_component_is_refused_with_those_that_are_known(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"'Chat' is no.*Live transcription, Meetings"):
        update(tmp_path, "x", "outage", "Chat")
    with pytest.raises(ConfigurationError, match="status_components names them"):
        StatusPage(tmp_path).publish(Entry(moment(NOW), "outage", "x", ("Chat",)))


def test_announced_maintenance_is_shown_until_it_has_ended(tmp_path: Path) -> None:
    page = StatusPage(tmp_path, components=PARTS)
    hours = [moment(NOW + timedelta(hours=n)) for n in range(5)]
    page.announce(Maintenance(hours[3], hours[4], "A new disk.", ("Meetings",)), NOW)
    status = page.announce(Maintenance(hours[1], hours[2], "A new database."), NOW)
    assert [work.text for work in status.planned] == ["A new database.", "A new disk."]
    assert status.state == "operational"
    assert "2025-10-25 10:55 UTC" in (tmp_path / "index.html").read_text()
    later = page.publish(Entry(hours[2], "operational", "The database is moved."))
    assert [work.text for work in later.planned] == ["A new disk."]
    assert page.call_off(NOW).planned == ()


@pytest.mark.parametrize(("begin", "end"), [(2, 1), (1, 1), (-2, -1), (-2, 0)])
def test_maintenance_without_time_left_is_refused(tmp_path: Path, begin: int, end: int) -> None:
    times = [moment(NOW + timedelta(hours=n)) for n in (begin, end)]
    with pytest.raises(ConfigurationError, match="no time left"):
        StatusPage(tmp_path).announce(Maintenance(*times, "x"), NOW)
    assert list(tmp_path.iterdir()) == []


def test_the_history_is_told_by_days(tmp_path: Path) -> None:
    page = StatusPage(tmp_path)
    for day in (23, 25):
        page.publish(Entry(moment(NOW.replace(day=day)), "outage", f"On the {day}th."))
    html = (tmp_path / "index.html").read_text()
    assert html.index("<h3>2025-10-25</h3>") < html.index("On the 25th.")
    assert html.index("On the 25th.") < html.index("<h3>2025-10-23</h3>")


def test_a_page_of_before_components_is_read(tmp_path: Path) -> None:
    old = {"at": moment(NOW), "state": "outage", "text": "Down."}
    value = {"title": "Mina", "state": "outage", "updates": [old]}
    (tmp_path / "status.json").write_text(json.dumps(value))
    assert StatusPage(tmp_path).read().updates == (Entry(**old),)
