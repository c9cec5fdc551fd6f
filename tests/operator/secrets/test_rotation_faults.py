"""A rotation that dies, or whose servers restart, after any of its steps locks nobody out.

After each step: kill -9, or a restart of Redis or PostgreSQL, or both; then `--resume`, or
`--undo`. Meanwhile both colours log in to both servers, through a pool and anew, and a cookie
from before stays good. docs/secrets.md is what came of a whole run (`--long`, WRITE_DOCS=1).
"""

from __future__ import annotations

import json
import os
import signal
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest

from mina_ops.operator.database.connection.connect import parse
from mina_ops.operator.secrets import database_role, redis_user
from tests.operator.secrets.faults import Effects
from tests.operator.secrets.site import Site, request, standing_site
from tests.support.wait import eventually

PAGE = Path(__file__).parents[3] / "docs" / "secrets.md"
COLUMNS = {
    "killed, --resume": ("", "--resume"),
    "killed, --undo": ("", "--undo"),
    "killed, Redis restarts, --resume": ("redis", "--resume"),
    "killed, Redis restarts, --undo": ("redis", "--undo"),
    "killed, PostgreSQL restarts, --resume": ("postgres", "--resume"),
    "killed, PostgreSQL restarts, --undo": ("postgres", "--undo"),
    "Redis restarts as it goes on": ("redis", ""),
    "PostgreSQL restarts as it goes on": ("postgres", ""),
}


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with standing_site() as found:
        yield found


SHORT = [
    ("killed, --resume", "reloaded blue", 2),
    ("killed, --resume", "PostgreSQL: DROP ROLE ...", 1),
    ("killed, Redis restarts, --undo", "Redis: CONFIG REWRITE", 1),
    ("killed, PostgreSQL restarts, --undo", "PostgreSQL: ALTER ROLE ... NOLOGIN", 1),
    ("Redis restarts as it goes on", "wrote the file", 2),
]


@pytest.mark.integration
@pytest.mark.parametrize(("column", "step", "occurrence"), SHORT)
def test_a_fault_after_a_step_locks_nobody_out(
    site: Site, column: str, step: str, occurrence: int
) -> None:
    labels = _steps(site)
    at = [number for number, label in enumerate(labels, 1) if label == step]
    _case(site, column, at[occurrence - 1 if occurrence > 0 else occurrence], labels)


@pytest.mark.integration
@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("column", COLUMNS)
def test_no_fault_after_any_step_locks_anybody_out(site: Site, column: str) -> None:
    labels = _steps(site)
    came = [_case(site, column, number, labels) for number in range(1, len(labels) + 1)]
    if os.environ.get("WRITE_DOCS"):
        PAGE.write_text(_page(PAGE.read_text(), labels, column, came))


def _steps(site: Site) -> list[str]:
    """The effects of a whole rotation, in their order; it is run for that.

    The first one of a site ends the role that owns the tables, and cannot drop it; each later one
    drops the role of the one before, which is some steps more.
    """
    for _ in range(1 if site.is_rotated else 2):
        _, labels = _in_a_child(site, 0, "", "--all", "--force")
    site.is_rotated = True
    assert len(labels) > 20
    return labels


def _case(site: Site, column: str, number: int, labels: list[str]) -> str:
    server, way = COLUMNS[column]
    where = f"{column}, after step {number} ({labels[number - 1]})"
    before, tried = site.secrets(), site.tried
    is_over = False
    site.log_in()
    died, _ = _in_a_child(site, number, "" if way else server, "--all", "--force")
    if way:
        assert died, where
        if server:
            site.restart(server)
        told = site.rotate(way, "--force")
        # Killed before the plan was on the disk, or after it was gone: nothing is left to do.
        is_over = "no rotation to go on with" in told.output
        assert told.exit_code == 0 or is_over, (where, told.output)
    after = site.secrets()
    came = "as before" if after == before else "rotated"
    _only_these_work(site, before if came == "as before" else after, after, before, where)
    eventually(lambda: site.tried > tried + 4, 20)
    assert site.locked_out == [], where
    assert not list(site.folder.rglob("*.rotation")), where
    assert (site.folder / "secrets.env").is_symlink(), where
    if way == "--undo" and not is_over:
        assert came == "as before", where
    return came


def _only_these_work(
    site: Site, good: dict[str, str], after: dict[str, str], before: dict[str, str], where: str
) -> None:
    assert redis_user.works(good["REDIS_URL"]), where
    assert database_role.can_log_in(parse(good["DATABASE_URL"])), where
    if after != before:
        assert not redis_user.works(before["REDIS_URL"]), where
        assert not database_role.can_log_in(parse(before["DATABASE_URL"])), where
    token = (site.folder / "token").read_text().strip()
    for port in site.ports:
        status = request(port, "GET", "/admin/drain", authorization=f"Bearer {token}")[0]
        assert status == 200, where


def _in_a_child(site: Site, number: int, server: str, *arguments: str) -> tuple[bool, list[str]]:
    """Rotate in a forked process; whether it was killed, and the effects of one that was not.

    After its effect of that number it dies, or waits until `server` was restarted.
    """
    told = site.folder / "effects.json"
    told.unlink(missing_ok=True)
    asks, asked = os.pipe()
    hears, answers = os.pipe()

    def wait_for_restart() -> None:
        os.write(asked, b"x")
        os.read(hears, 1)

    with site.asking:
        pid = os.fork()
    if pid == 0:
        try:
            effects = Effects(number, wait_for_restart if server else None)
            effects.install()
            done = site.rotate(*arguments)
            result = {"labels": effects.labels, "code": done.exit_code, "output": done.output}
            told.write_text(json.dumps(result))
        except Exception:
            traceback.print_exc()
        finally:
            os._exit(0)
    os.close(asked)
    status = -1
    try:
        if server and os.read(asks, 1):
            site.restart(server)
            os.write(answers, b"x")
        status = os.waitpid(pid, 0)[1]
    finally:
        if status == -1:  # a failure here must not leave a rotation running beside the next test
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        for descriptor in (asks, hears, answers):
            os.close(descriptor)
    if status == 9:
        return True, []
    assert told.exists(), "see the traceback on standard error"
    result = json.loads(told.read_text())
    assert result["code"] == 0, result["output"]
    return False, result["labels"]


def _page(text: str, labels: list[str], column: str, came: list[str]) -> str:
    """The page with one column of its table anew; those of another order of steps go."""
    mark, end = "<!-- faults -->", "<!-- end of faults -->"
    head, _, rest = text.partition(mark)
    table, _, tail = rest.partition(end)
    steps = [f"{number}. {label}" for number, label in enumerate(labels, 1)]
    known = [[part.strip() for part in row.strip("| ").split(" | ")] for row in table.split("\n")]
    cells = {row[0]: dict(zip(known[2][1:], row[1:], strict=False)) for row in known if row[0]}
    if [name for name in cells if name[0].isdigit()] != steps:
        cells = {}
    rows = [f"| step | {' | '.join(COLUMNS)} |", f"| --- |{' --- |' * len(COLUMNS)}"]
    for step, found in zip(steps, came, strict=True):
        shown = {**dict.fromkeys(COLUMNS, "not run"), **cells.get(step, {}), column: found}
        rows.append(f"| {step} | {' | '.join(shown[name] for name in COLUMNS)} |")
    table = "\n".join(rows)
    return f"{head}{mark}\n\n{table}\n\n{end}{tail}"
