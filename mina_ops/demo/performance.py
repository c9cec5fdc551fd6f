"""Sets up, plays, and prints the result; everything is ended whatever happens."""

from __future__ import annotations

import shutil
import signal
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import IO

from mina_ops.demo import second_act
from mina_ops.demo.front import TOKEN_FILE
from mina_ops.demo.play import Play, Script
from mina_ops.demo.processes import ServerFailed
from mina_ops.demo.show import Show, open_show, stdout_or_stderr
from mina_ops.demo.stage import Stage, standing
from mina_ops.errors import MinaOpsError
from mina_ops.operator.system.signals import unwinding


def perform(script: Script, *, keep: bool, only_result: bool, live: bool | None) -> int:
    """Set up, play, print the result as the last line; the exit code.

    The code is 0 only if nothing failed and nothing was lost. The folder with the logs stays if
    something did.

    Raises:
        MinaOpsError: it could not be set up.
        SystemExit: a signal came; everything was ended.
    """
    stream = stdout_or_stderr(only_result=only_result)
    folder = Path(tempfile.mkdtemp(prefix="mina-demo-"))
    code: int | None = None
    try:
        with unwinding(signal.SIGINT, signal.SIGTERM, signal.SIGHUP, once=True):
            code = _perform_in(folder, script, stream, keep=keep, live=live)
    finally:
        if code == 0 or not any(folder.rglob("*.log")):
            shutil.rmtree(folder, ignore_errors=True)
        else:
            print(f"Logs: {folder}", file=sys.stderr)
    return code


def _perform_in(
    folder: Path, script: Script, stream: IO[str], *, keep: bool, live: bool | None
) -> int:
    show = open_show(stream, live=live)
    with show:
        show.act("Set-up")
        with standing(folder, show.step, worker=script.worker) as stage:
            show.step(f"everything stands; public address {stage.settings.public_url}")
            figures, problem = Play(stage, script, show).perform()
            if problem is None and script.second_act:
                problem = _second_act(stage, script, show)
            show.result(figures)
            faults = [str(problem)] if problem else []
            for fault in [*faults, *figures.faults()]:
                print(f"mina-ops: {fault}", file=sys.stderr)
            code = _exit_code(problem, failed=bool(figures.faults()))
            if keep:
                if script.second_act:
                    second_act.restore_green(stage)
                print(addresses(stage), file=stream)
                _stay(stage, figures.to_json())
            else:
                print(figures.to_json(), flush=True)
    return code


def _second_act(stage: Stage, script: Script, show: Show) -> MinaOpsError | None:
    try:
        second_act.play(stage, show, script.requests_per_second)
    except MinaOpsError as error:
        return error
    return None


def addresses(stage: Stage) -> str:
    """Where everything is and how to get in, for somebody who wants to look around."""
    settings, keys = stage.settings, stage.keys
    lines = [f"the app            {settings.public_url}/live"]
    for colour, servers in stage.instances.items():
        lines.append(f"{colour:<19}{' '.join(server.url for server in servers)}")
    lines += [f"login {name:<13}{password}" for name, password in keys.passwords.items()]
    lines += [
        f"admin token        {stage.folder / TOKEN_FILE}",
        f"test token         {keys.test_token}",
        f"logs               {stage.folder}",
        f"operate it         export MINA_OPS_CONFIG={settings.file}; mina-ops status",
        "end it             Ctrl-C",
    ]
    return "\n".join(lines)


def _exit_code(problem: MinaOpsError | None, *, failed: bool) -> int:
    if problem is not None:
        return problem.exit_code
    return 1 if failed else 0


def _stay(stage: Stage, last_line: str) -> None:
    """Print the last line, and return when a signal comes.

    Raises:
        ServerFailed: a server ended by itself.
    """
    with suppress(SystemExit):
        print(last_line, flush=True)
        while True:
            for server in stage.servers:
                if not server.alive:
                    raise ServerFailed(f"{server.name} ended: {server.log_tail()}")
            time.sleep(0.5)
