from __future__ import annotations

import logging
import resource
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from mina_ops.app import settings
from mina_ops.app.flags.continuity import Known
from mina_ops.app.flags.last_known import LastKnownFile, last_known_file

KNOWN = Known("e1", 7, {"a": b'{"key":"a"}', "b": '{"key":"b","owner":"\u00e4"}'.encode()})


@pytest.fixture
def file(tmp_path: Path) -> LastKnownFile:
    return LastKnownFile(tmp_path / "deep" / "flags.json")


def test_what_was_written_is_read_back_by_another_process(file: LastKnownFile) -> None:
    file.write(KNOWN)
    assert LastKnownFile(file.path).read() == KNOWN


def test_only_its_owner_may_read_it(file: LastKnownFile) -> None:
    file.write(KNOWN)
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    lock = file.path.with_name(".flags.json.lock")
    assert stat.S_IMODE(lock.stat().st_mode) == 0o600
    assert {path.name for path in file.path.parent.iterdir()} == {"flags.json", lock.name}


def test_nothing_is_known_without_a_file(file: LastKnownFile) -> None:
    assert file.read() == Known()


@pytest.mark.parametrize(
    "damage",
    [b"", b"{", b"[]", b"null", b'{"format": 2}', b'{"format": 1}', b"\xff\xfe", b"[" * 100_000],
)
def test_a_damaged_file_is_said_and_not_believed(
    file: LastKnownFile, damage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    file.path.parent.mkdir()
    file.path.write_bytes(damage)
    file.path.chmod(0o600)
    assert file.read() == Known()
    assert "cannot be read" in caplog.text


def test_a_file_that_others_can_write_is_not_believed(
    file: LastKnownFile, caplog: pytest.LogCaptureFixture
) -> None:
    file.write(KNOWN)
    file.path.chmod(0o622)
    assert file.read() == Known()
    assert "others could have written it" in caplog.text


def test_a_folder_that_cannot_be_made_is_said_once_and_breaks_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "occupied").write_text("")
    file = LastKnownFile(tmp_path / "occupied" / "flags.json")
    with caplog.at_level(logging.WARNING):
        file.write(KNOWN)
        file.write(Known("e1", 8, {}))
    assert caplog.text.count("cannot be written") == 1


def test_an_unchanged_state_is_not_written_again(file: LastKnownFile) -> None:
    file.write(KNOWN)
    file.path.unlink()
    file.write(KNOWN)
    assert not file.path.exists()
    file.write(Known("e1", 8, {}))
    assert file.read() == Known("e1", 8, {})


def test_a_full_disk_is_said_once_and_written_to_as_soon_as_there_is_room(
    file: LastKnownFile, caplog: pytest.LogCaptureFixture
) -> None:
    file.write(KNOWN)
    later = Known("e1", 8, {"a": b"x" * 1_000})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, hard))
    try:
        file.write(later)
        file.write(later)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caplog.text.count("cannot be written") == 1
    assert file.read() == KNOWN
    assert len(list(file.path.parent.iterdir())) == 2, "no temporary file is left"
    file.write(later)
    assert file.read() == later


def test_a_process_that_was_held_up_does_not_bring_an_older_version_back(
    file: LastKnownFile,
) -> None:
    slow = LastKnownFile(file.path)
    file.write(Known("e1", 8, {"killed": b"off"}))
    slow.write(Known("e1", 7, {"killed": b"on"}))
    assert file.read().version == 8
    slow.write(Known("e2", 1, {}))
    assert file.read().epoch == "e2"


_WRITER = """
import sys
from pathlib import Path
from mina_ops.app.flags.continuity import Known
from mina_ops.app.flags.last_known import LastKnownFile

file = LastKnownFile(Path(sys.argv[1]))
for version in range(int(sys.argv[2]), 120, 2):
    known = Known("e1", version, {"a": b"x" * version * 100})
    file.write(known)
while file.read().version < 118:
    file.write(known)
"""


def test_two_processes_that_write_leave_one_whole_file(file: LastKnownFile) -> None:
    argv = [sys.executable, "-c", _WRITER, str(file.path)]
    writers = [subprocess.Popen([*argv, first]) for first in ("1", "2")]
    versions = [0]
    try:
        while any(writer.poll() is None for writer in writers):
            versions.append(file.read().version)
    finally:
        for writer in writers:
            writer.kill()
            writer.wait()
    assert [writer.returncode for writer in writers] == [0, 0]
    assert versions == sorted(versions), "a later version was overwritten by an older one"
    assert file.read().version >= 118
    assert len(list(file.path.parent.iterdir())) == 2


def test_a_reader_never_finds_half_a_file(file: LastKnownFile) -> None:
    file.write(KNOWN)
    done = threading.Event()

    def write() -> None:
        for version in range(8, 60):
            LastKnownFile(file.path).write(Known("e1", version, {"a": b"x" * version * 100}))
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    while not done.is_set():
        assert file.read().epoch == "e1"
    writer.join()


def test_each_redis_has_its_file_in_the_users_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    files = [
        last_known_file(settings.load({"REDIS_URL": f"redis://u:secret@host:{port}/0"}, {}))
        for port in (1, 2)
    ]
    paths = [file.path for file in files if file is not None]
    assert len(set(paths)) == 2
    assert all(path.parent == tmp_path / "mina_ops" for path in paths)
    assert "secret" not in str(paths)


def test_the_memory_store_leaves_no_file() -> None:
    assert last_known_file(settings.load({}, {})) is None
