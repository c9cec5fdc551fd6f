from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from mina_ops.errors import ConfigurationError, OperatorError
from mina_ops.operator.release.journal import Journal, history, latest
from mina_ops.operator.release.model import FORWARD, Phase


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal.create(tmp_path / "releases", "v2.5.0")


def test_a_new_journal_has_everything_to_do(journal: Journal) -> None:
    progress = journal.progress()
    assert progress.to_do() == FORWARD
    assert progress.percent == 0
    assert not progress.ended


def test_a_phase_that_was_begun_is_done_again_one_that_ended_is_not(journal: Journal) -> None:
    journal.write("begin", Phase.BACKUP)
    assert journal.progress().to_do()[0] is Phase.BACKUP
    journal.write("end", Phase.BACKUP)
    assert journal.progress().to_do()[0] is Phase.MIGRATE


def test_the_share_last_announced_counts_though_it_may_not_have_been_applied(
    journal: Journal,
) -> None:
    journal.write("begin", Phase.SWITCH)
    journal.write("step", Phase.SWITCH, percent=25)
    assert journal.progress().percent == 25


def test_an_ended_release_has_nothing_to_do(journal: Journal) -> None:
    journal.write("begin", Phase.ROLLED_BACK)
    assert journal.progress().ended
    assert journal.progress().to_do() == ()


def test_a_line_that_a_crash_cut_short_is_left_out(journal: Journal) -> None:
    journal.write("begin", Phase.BACKUP)
    with journal.path.open("a") as file:
        file.write('{"at": 1, "event": "end", "pha')
    assert [entry.event for entry in journal.entries()] == ["begin"]


def test_a_damaged_line_in_the_middle_is_named(journal: Journal) -> None:
    journal.write("begin", Phase.BACKUP)
    with journal.path.open("a") as file:
        file.write("not json\n")
    journal.write("end", Phase.BACKUP)
    with pytest.raises(OperatorError, match="line 2"):
        journal.entries()


def test_the_newest_comes_first(tmp_path: Path) -> None:
    older = Journal.create(tmp_path, "v1", now=1_700_000_000)
    newer = Journal.create(tmp_path, "v2", now=1_700_000_001)
    for journal in (older, newer):
        journal.write("begin", Phase.CHECKS)
    (tmp_path / "lock").touch()
    assert [one.release_id for one in history(tmp_path)] == [newer.release_id, older.release_id]
    found = latest(tmp_path)
    assert found is not None
    assert found.release_id == "20231114-221321-v2"


def test_without_any_release_there_is_no_newest(tmp_path: Path) -> None:
    assert latest(tmp_path / "none") is None


@pytest.mark.parametrize(
    "version", ["", ".", "..", "../v1", "v1/..", "v 1", "-rf", "v1\n", "x" * 65]
)
def test_a_version_that_is_no_file_name_is_refused(tmp_path: Path, version: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot name a release"):
        Journal.create(tmp_path, version)


def test_ids_sort_by_creation_though_the_clock_was_stepped_back(tmp_path: Path) -> None:
    names = []
    for now in (1_700_000_000, 1_700_000_000, 1_600_000_000, 1_700_000_500):
        journal = Journal.create(tmp_path, "v1", now=now)
        journal.write("begin", Phase.CHECKS)
        names.append(journal.release_id)
    assert names == sorted(set(names))
    found = latest(tmp_path)
    assert found is not None
    assert found.release_id == names[-1]


def test_a_full_disk_leaves_the_journal_as_it_was(journal: Journal) -> None:
    journal.write("begin", Phase.BACKUP)
    before = journal.path.read_bytes()
    # A limit on the size of files is a disk that is full for this process alone.
    script = (
        "import resource, signal, sys\n"
        "from pathlib import Path\n"
        "from mina_ops.files import NotWritten\n"
        "from mina_ops.operator.release.journal import Journal\n"
        "from mina_ops.operator.release.model import Phase\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "size = int(sys.argv[2])\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))\n"
        "try:\n"
        "    Journal(Path(sys.argv[1])).write('end', Phase.BACKUP)\n"
        "except NotWritten:\n"
        "    sys.exit(7)\n"
    )
    assert hasattr(resource, "RLIMIT_FSIZE")
    argv = [sys.executable, "-c", script, str(journal.folder), str(len(before) + 10)]
    assert subprocess.run(argv, check=False).returncode == 7
    assert journal.path.read_bytes() == before


def test_after_a_line_that_a_crash_cut_short_the_journal_goes_on(journal: Journal) -> None:
    journal.write("begin", Phase.BACKUP)
    with journal.path.open("a") as file:
        file.write('{"at": 1, "event": "end", "pha')
    journal.write("end", Phase.BACKUP)
    assert [entry.event for entry in journal.entries()] == ["begin", "end"]


@pytest.mark.parametrize("content", ["", '{"at": 1, "event": "no'])
def test_a_release_whose_first_line_was_never_written_is_none(tmp_path: Path, content: str) -> None:
    journal = Journal.create(tmp_path, "v1")
    journal.path.write_text(content)
    assert latest(tmp_path) is None


def test_a_folder_of_somebody_else_is_no_release(tmp_path: Path) -> None:
    journal = Journal.create(tmp_path, "v1")
    journal.write("begin", Phase.CHECKS)
    journal.folder.rename(tmp_path / "old-damaged-v1")
    assert history(tmp_path) == []
    Journal.create(tmp_path, "v2")
