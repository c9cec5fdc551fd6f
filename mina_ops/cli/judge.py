"""`mina-ops judge`: serve verdicts on a release to another engine, such as Argo Rollouts."""

from __future__ import annotations

import os
import re
import signal
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from mina_ops.cli import output
from mina_ops.cli.session import Session
from mina_ops.errors import ConfigurationError

if TYPE_CHECKING:
    from mina_ops.operator.judge.access import Access
    from mina_ops.operator.judge.hooks import Hooks
    from mina_ops.operator.judge.poller import Poller

_LEAST_LETTERS = 16
_LISTEN = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9_.-]+)):([0-9]{1,5})")


@click.command(name="judge")
@click.argument("colour")
@click.option(
    "--listen",
    default="127.0.0.1:8090",
    show_default=True,
    metavar="HOST:PORT",
    help="Where to serve.",
)
@click.option(
    "--window",
    type=click.FloatRange(1, 3600),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="Judge by the figures of the last SECONDS.",
)
@click.option("--open", "is_open", is_flag=True, help="Verdicts to anybody, without a token.")
@output.json_option
@click.pass_obj
def command(session: Session, colour: str, listen: str, window: float, is_open: bool) -> None:
    """Judge COLOUR against the other one, and tell whoever asks over HTTP, until Ctrl-C or SIGTERM.

    For Argo Rollouts, Flagger, or curl: GET /verdict says pass, fail or inconclusive, never pass
    for want of data. POST /hooks/confirm-traffic-increase and /hooks/rollback are Flagger's gates,
    POST /drain answers 200 once the old colour is drained. Asks for the token in
    MINA_OPS_JUDGE_TOKEN; without one it listens on loopback alone, or tells verdicts with --open.
    With --json, each answer is one JSON line.
    """
    from mina_ops.operator.judge.server import running

    access = _access(listen, is_open)
    poller = _poller(session, colour, window)
    try:
        hooks = _hooks(session, poller, access)
        with running(access, hooks, _logger(output.is_json())) as server:
            host = f"[{access.host}]" if ":" in access.host else access.host
            url = f"http://{host}:{server.server_port}"
            output.data({"url": url}, f"Judging {poller.new.name} at {url}")
            _until_ended()
    finally:
        poller.close()


def _access(listen: str, is_open: bool) -> Access:
    from mina_ops.operator.judge.access import LOOPBACK, TOKEN_VARIABLE, Access

    found = _LISTEN.fullmatch(listen)
    if found is None or int(found[3]) > 65535:
        raise ConfigurationError(f"--listen {listen!r} must be HOST:PORT, as 0.0.0.0:8090.")
    host, token = found[1] or found[2], os.environ.get(TOKEN_VARIABLE, "").strip() or None
    if token is not None and len(token) < _LEAST_LETTERS:
        raise ConfigurationError(
            f"{TOKEN_VARIABLE} is shorter than {_LEAST_LETTERS} letters; take "
            "the output of `openssl rand -hex 32`."
        )
    if token is not None and is_open:
        raise ConfigurationError(f"Give --open or {TOKEN_VARIABLE}, not both.")
    if token is None and host not in LOOPBACK and not is_open:
        raise ConfigurationError(
            f"Others reach {host}: set {TOKEN_VARIABLE}, or give --open for verdicts to anybody."
        )
    return Access(host, int(found[3]), token)


def _poller(session: Session, colour: str, window: float) -> Poller:
    from mina_ops.operator.judge.poller import Poller, Rules
    from mina_ops.operator.release import plan as plans
    from mina_ops.operator.release.verdicts.figures import Wanted
    from mina_ops.operator.release.verdicts.numbers import NumberReader

    settings = session.settings
    new = settings.colour(colour)
    old = settings.other(new.name)
    plan = plans.read(settings)
    named = plans.words(new.version or "", new, old, plan.instances)
    numbers = NumberReader(plan.triggers.numbers, named)
    rules = Rules(plan.triggers, Wanted.by(plan.triggers, numbers), window)
    return Poller(session.client(new.name), session.client(old.name), rules)


def _hooks(session: Session, poller: Poller, access: Access) -> Hooks:
    from mina_ops.operator.judge.hooks import Hooks
    from mina_ops.operator.release import plan as plans

    grace = plans.read(session.settings).drain_grace_seconds
    return Hooks(poller, grace_seconds=grace, may_drain=access.may_drain)


def _logger(as_json: bool) -> Any:
    """What prints each answer; the server's threads call it, which know no `--json`."""
    lock = threading.Lock()

    def log(entry: Mapping[str, Any]) -> None:
        said = str(entry.get("detail") or entry.get("verdict") or entry.get("state") or "")
        text = f"{entry['method']} {entry['path']} {entry['status']} {said}".rstrip()
        with lock:
            output.data(entry, text, as_json=as_json)

    return log


def _until_ended() -> None:
    """Block until SIGTERM or Ctrl-C, which end it alike: what is being answered is answered."""
    ended = threading.Event()
    before = {one: signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGINT)}
    try:
        for one in before:
            signal.signal(one, lambda *_: ended.set())
        ended.wait()
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
