from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mina_ops.errors import Locked
from mina_ops.operator.release import lock
from mina_ops.operator.release.lock import ReleaseLock, is_held, owner
from tests.support.wait import eventually

_HOLDER = (
    "import sys, time\n"
    "from pathlib import Path\n"
    "from mina_ops.operator.release.lock import ReleaseLock\n"
    "with ReleaseLock(Path(sys.argv[1]), 'release v1'):\n"
    "    print('held', flush=True)\n"
    "    time.sleep(60)\n"
)


def _hold(folder: Path) -> subprocess.Popen[str]:
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(folder)], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    return holder


def _end(holder: subprocess.Popen[str], how: signal.Signals = signal.SIGKILL) -> None:
    holder.send_signal(how)
    holder.wait(10)
    if holder.stdout is not None:
        holder.stdout.close()


def test_a_second_controller_is_told_who_has_the_lock(tmp_path: Path) -> None:
    holder = _hold(tmp_path)
    try:
        with pytest.raises(Locked, match=rf"release v1 is running.*process {holder.pid}"):
            ReleaseLock(tmp_path, "release v2").__enter__()
        assert is_held(tmp_path)
    finally:
        _end(holder)


def test_a_controller_that_has_just_taken_it_is_named_once_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = {"host": socket.gethostname(), "purpose": "release v1", "since": 0.0, "user": "ana"}
    killed = {**record, "purpose": "release v0", "pid": _ended_process()}
    looks = iter([None, None, killed, {**record, "pid": os.getpid()}])
    monkeypatch.setattr(lock, "owner", lambda _: next(looks))
    with (tmp_path / "lock").open("w") as taken:
        fcntl.flock(taken, fcntl.LOCK_EX)
        with pytest.raises(Locked, match=rf"release v1 is running.*process {os.getpid()}"):
            ReleaseLock(tmp_path, "release v2").__enter__()


def _ended_process() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_killed_controller_holds_nothing(tmp_path: Path) -> None:
    _end(_hold(tmp_path))
    assert not is_held(tmp_path)
    with ReleaseLock(tmp_path, "release v2"):
        assert is_held(tmp_path)
    assert not is_held(tmp_path)


def test_a_stopped_controller_still_holds_it(tmp_path: Path) -> None:
    holder = _hold(tmp_path)
    try:
        holder.send_signal(signal.SIGSTOP)
        assert is_held(tmp_path)
    finally:
        _end(holder)


def test_a_child_of_the_controller_does_not_keep_it(tmp_path: Path) -> None:
    with ReleaseLock(tmp_path, "release v1"):
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        assert not is_held(tmp_path)
    finally:
        child.kill()
        child.wait()


def test_a_controller_on_another_machine_counts_while_it_renews(tmp_path: Path) -> None:
    record = {"host": "elsewhere", "pid": 1, "user": "ops", "purpose": "release v1", "since": 0.0}
    for renewed, held in (
        (time.time(), True),
        (time.time() - 31, False),
        (time.time() + 3600, False),
    ):
        (tmp_path / "lock").touch()
        (tmp_path / "owner.json").write_text(
            json.dumps({**record, "renewed": renewed, "ttl_seconds": 30})
        )
        assert is_held(tmp_path) is held


def test_the_owner_renews_its_record(tmp_path: Path) -> None:
    with ReleaseLock(tmp_path, "release v1", ttl_seconds=6):
        first = (owner(tmp_path) or {})["renewed"]
        eventually(lambda: (owner(tmp_path) or {}).get("renewed", 0) > first)
    assert owner(tmp_path) is None


@pytest.mark.parametrize("content", ["[]", "null", '{"since": "x"}', "\u00e9{", ""])
def test_a_record_that_makes_no_sense_is_nobodys(tmp_path: Path, content: str) -> None:
    (tmp_path / "owner.json").write_text(content)
    assert owner(tmp_path) is None
    with ReleaseLock(tmp_path, "release v1"):
        assert is_held(tmp_path)


def test_a_full_disk_keeps_nobody_from_the_lock(tmp_path: Path) -> None:
    limited = "import resource, signal\nsignal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
    limited += "resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))\n" + _HOLDER
    argv = [sys.executable, "-c", limited.replace("time.sleep(60)", "pass"), str(tmp_path)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "held\n"), done.stderr
