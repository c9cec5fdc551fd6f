"""Each way back with each thing broken, on real processes; docs/ways-back.md is what came out.

A way back works, or refuses for a reason that names what to type. With WRITE_DOCS=1 and --long a
whole run writes the page; every other run compares its cells with it.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from mina_ops.demo.processes import free_port
from mina_ops.operator.config.settings import TABLES, load
from mina_ops.operator.release import opening
from mina_ops.operator.release.model import Phase
from mina_ops.operator.release.release import Site
from tests.operator.release.stand import QUICK, TOKEN, Outcome, Stand, ended
from tests.support.wait import eventually

PAGE = Path(__file__).parents[3] / "docs" / "ways-back.md"
SLOW = QUICK.replace("step_seconds = 0.3", "step_seconds = 120").replace(
    "ready_seconds = 20", "ready_seconds = 2"
)
WAYS: Mapping[str, Sequence[str]] = {
    "`rollback`": ("rollback",),
    "`release abort`": ("release", "abort"),
    "`switch green blue --instant`": ("switch", "green", "blue", "--instant"),
    "`drain blue --cancel`": ("drain", "blue", "--cancel"),
}
CANCEL = "`drain blue --cancel`"
TAKEN_BACK = {"aborted", "release", "version", "from", "to", "phase", "percent", "reasons", "ended"}
KEYS: Mapping[str, set[str]] = {
    "`rollback`": TAKEN_BACK,
    "`release abort`": TAKEN_BACK,
    "`switch green blue --instant`": {"before", "after", "generation", "proven", "milliseconds"},
    CANCEL: {"colour", "state", "active_connections"},
}
"""The keys that docs/cli.md promises of each way back."""


@dataclass
class Scene:
    """A release of v2 with half of the traffic on green, and what a test broke of it."""

    stand: Stand
    controller: subprocess.Popen[str] | None = None
    config: Path | None = None
    within: Sequence[str] = ()

    def run(self, *arguments: str) -> Outcome:
        if self.config is None:
            return self.stand.run(*arguments, within=self.within)
        return self.stand.run("--config", str(self.config), *arguments)

    @property
    def journal(self) -> Path:
        return next((self.stand.folder / "releases").glob("*/journal.jsonl"))


Break = Callable[[Scene], None]


def _no_notify_variable(scene: Scene) -> None:
    with scene.stand.file.open("a") as file:
        file.write('\n[notify.channels.oncall]\nurl_env = "NO_SUCH_VARIABLE"\n')


def _typo_in_the_plan(scene: Scene) -> None:
    text = scene.stand.file.read_text()
    scene.stand.file.write_text(text.replace("step_seconds", "step_secnods"))


def _typo_in_every_other_table(scene: Scene) -> None:
    """A key that nobody knows in each table beside those that traffic needs, and a table such."""
    text = scene.stand.file.read_text().replace("[public]\n", '[public]\nulr = "x"\n')
    for table in (*TABLES, "nothing"):
        if table not in ("public", "colours", "traffic", "release"):
            text += f'\n[{table}]\nno_such_key = "x"\n'
    scene.stand.file.write_text(text)


def _no_toml_any_more(scene: Scene) -> None:
    text = scene.stand.file.read_text()
    scene.stand.file.write_text(text.replace("[release]", '[release]\nstrategy = "canary'))


def _stopped(scene: Scene) -> None:
    assert scene.controller is not None
    scene.controller.send_signal(signal.SIGSTOP)


def _killed(scene: Scene) -> None:
    assert scene.controller is not None
    scene.controller.kill()
    ended(scene.controller)


def _on_another_machine(scene: Scene) -> None:
    folder = scene.stand.folder / "elsewhere"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    scene.config = folder / "mina-ops.toml"
    scene.config.write_text(scene.stand.file.read_text())
    eventually(lambda: _reported(scene.stand), 20)


def _reported(stand: Stand) -> bool:
    url = stand.colours["blue"].url + "/admin/releases"
    found = httpx.get(url, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=10).json()
    return any(one["percent"] == 50 for one in found["releases"])


def _redis_hangs(scene: Scene) -> None:
    scene.stand.redis.pause()


def _green_is_dead(scene: Scene) -> None:
    scene.stand.colours["green"].kill()


def _one_of_two_of_blue_is_dead(scene: Scene) -> None:
    blue = scene.stand.colours["blue"]
    mine = f'0 = "127.0.0.1:{blue.port}"'
    text = scene.stand.file.read_text()
    scene.stand.file.write_text(text.replace(mine, f'{mine}\n1 = "127.0.0.1:{free_port()}"'))


def _disk_full(scene: Scene) -> None:
    size = scene.journal.stat().st_size
    scene.within = ("prlimit", f"--fsize={size}:{size}")


def _blue_runs_another_version(scene: Scene) -> None:
    with scene.journal.open("a") as file:
        file.write('{"at": 1, "event": "note", "phase": "checks", "old_version": "v0"}\n')


BROKEN: Mapping[str, Break] = {
    "nothing": lambda scene: None,
    "a notify channel's variable is not set": _no_notify_variable,
    "a typo in `[release]`": _typo_in_the_plan,
    "a typo in every other table": _typo_in_every_other_table,
    "an open quote in `[release]`": _no_toml_any_more,
    "the controller is stopped (Ctrl-Z)": _stopped,
    "the controller was killed": _killed,
    "the controller is on another machine": _on_another_machine,
    "Redis hangs": _redis_hangs,
    "green is dead": _green_is_dead,
    "one of two instances of blue is dead": _one_of_two_of_blue_is_dead,
    "the journal's disk is full": _disk_full,
    "blue runs another version than before": _blue_runs_another_version,
}
WITH_CONTROLLER = (_stopped, _killed, _on_another_machine)
# The lease of a controller that was killed ends by itself, so whoever comes later is let through.
UNTIL_THE_LEASE_ENDS = ("`switch green blue --instant`", "the controller was killed")
_cells: dict[tuple[str, str], str] = {}


@contextmanager
def _scene(stand: Stand, broken: Break) -> Iterator[Scene]:
    stand.plan(SLOW)
    controller = None
    if broken in WITH_CONTROLLER:
        controller = stand.start("release", "start", "v2")
        stand.until_given(50)
    else:
        _half_on_green(stand)
    scene = Scene(stand, controller)
    try:
        yield scene
    finally:
        if controller is not None and controller.returncode is None:
            controller.kill()
            ended(controller)
        stand.redis.resume()
        green = stand.colours["green"]
        if broken is _green_is_dead:
            stand.colours["green"] = stand.start_colour("green", green.port)


def _half_on_green(stand: Stand) -> None:
    """A release whose controller is gone: its journal, and the split that it made."""
    settings = load(stand.file)
    site = Site(settings, stand.driver)
    with closing(opening.begin(site, "v2", settings.colour("green"))) as release:
        release.note(Phase.CHECKS, old_version="v1")
        release.journal.write("begin", Phase.SWITCH)
        release.journal.write("step", Phase.SWITCH, percent=50)
        release.give(50)


def _case(way: str, broken: str) -> object:
    short = way == "`rollback`" and BROKEN[broken] not in (_no_notify_variable, _redis_hangs)
    return pytest.param(way, broken, marks=() if short else (pytest.mark.long,))


@pytest.mark.parametrize(
    ("way", "broken"), [_case(way, broken) for way in WAYS for broken in BROKEN]
)
def test_a_way_back_works_or_names_what_to_type(
    stand: Stand, monkeypatch: pytest.MonkeyPatch, way: str, broken: str
) -> None:
    monkeypatch.setenv("MINA_OPS_TOKEN", TOKEN)
    with _scene(stand, BROKEN[broken]) as scene:
        if way == CANCEL:
            assert stand.run("drain", "blue").code == 0
        BROKEN[broken](scene)
        outcome = scene.run(*WAYS[way], "--json")
        if broken == "Redis hangs":
            stand.redis.resume()
        stand.plan(SLOW)
        said = outcome.out + outcome.err
        assert "Traceback" not in said, said
        _require_one_object(outcome, way)
        if outcome.code == 0:
            _require_back(stand, way)
            cell = "works"
            if (way, broken) == UNTIL_THE_LEASE_ENDS:
                cell = _written().get((way, broken), cell)
        else:
            # A refusal names a command or an option in so many words.
            assert "`mina-ops" in outcome.err or "--force" in outcome.err, said
            cell = _refusal(outcome, said)
    _cells[way, broken] = cell
    if not os.environ.get("WRITE_DOCS"):
        assert cell == _written().get((way, broken), cell), said


def _require_one_object(outcome: Outcome, way: str) -> None:
    """What `--json` promises: one object, with its keys or with why it refused."""
    value = json.loads(outcome.out)
    if outcome.code:
        assert value.keys() == {"error", "message", "exit_code"}
        assert value["exit_code"] == outcome.code
        assert value["message"] in outcome.err
    else:
        assert KEYS[way] <= value.keys()


def _require_back(stand: Stand, way: str) -> None:
    if way == CANCEL:
        url = stand.colours["blue"].url + "/api/health/ready"
        eventually(lambda: httpx.get(url, timeout=10).status_code == 200, 20)
    else:
        assert stand.share_of_green() == 0


def _refusal(outcome: Outcome, said: str) -> str:
    option = "--force" if "--force" in said else "`mina-ops ...`"
    return f"refuses ({outcome.code}), names {option}"


def test_forced_it_goes_back_to_another_version_too(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINA_OPS_TOKEN", TOKEN)
    with _scene(stand, _blue_runs_another_version) as scene:
        _blue_runs_another_version(scene)
        assert scene.run("rollback", "--force").code == 0
    assert stand.share_of_green() == 0


def test_a_controller_that_was_stopped_and_goes_on_changes_nothing_any_more(stand: Stand) -> None:
    with _scene(stand, _stopped) as scene:
        _stopped(scene)
        assert scene.run("rollback").code == 0
        assert scene.controller is not None
        scene.controller.send_signal(signal.SIGCONT)
        outcome = ended(scene.controller, 60)
        assert outcome.code == 4, outcome.err
    assert stand.share_of_green() == 0


@pytest.fixture(scope="module", autouse=True)
def _a_whole_run_writes_the_page() -> Iterator[None]:
    yield
    if os.environ.get("WRITE_DOCS"):
        PAGE.write_text(_page({**_written(), **_cells}))


def test_the_page_is_what_the_runs_wrote() -> None:
    if PAGE.exists() and not os.environ.get("WRITE_DOCS"):
        assert PAGE.read_text() == _page(_written())


def _written() -> dict[tuple[str, str], str]:
    cells: dict[tuple[str, str], str] = {}
    ways: list[str] = []
    for line in PAGE.read_text().splitlines() if PAGE.exists() else ():
        title, *found = (cell.strip() for cell in line.strip("|").split("|"))
        if title == "what is broken":
            ways = found
        if title in BROKEN:
            cells |= {(way, title): cell for way, cell in zip(ways, found, strict=True)}
    return cells


def _page(cells: Mapping[tuple[str, str], str]) -> str:
    # A way that was not tried with everything has no column: no cell is empty.
    ways = [way for way in WAYS if all((way, broken) in cells for broken in BROKEN)]
    lines = [
        "# Ways back, and what may be broken",
        "",
        "Half of the traffic is on green (v2), and must go back to blue. Each cell is what came of",
        "a real run by `tests/operator/release/test_ways_back.py`, which writes this page: a way",
        "back works, or refuses with that exit code and names what to type. For `drain blue",
        "--cancel` blue was ordered to drain before.",
        "",
        "| what is broken | " + " | ".join(ways) + " |",
        "| --- |" + " --- |" * len(ways),
    ]
    lines += [
        f"| {broken} | " + " | ".join(cells[way, broken] for way in ways) + " |"
        for broken in BROKEN
    ]
    lines += ["", "A controller that was killed keeps the site from `switch` until its lease ends,"]
    lines += [
        "30 seconds after its last word; then `switch` works too, as the other ways do at once."
    ]
    return "\n".join(lines) + "\n"
