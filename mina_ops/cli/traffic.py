"""`mina-ops traffic`: the load balancer itself."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mina_ops.cli import moving, output
from mina_ops.cli.session import Session
from mina_ops.errors import ConfigurationError, OperatorError, TrafficError

if TYPE_CHECKING:
    from mina_ops.operator.api.leases import Holder

# While sessions move to the other colour, some clients hold two connections for a moment.
_ROOM_PER_SESSION = 1.2


@click.group(name="traffic")
def command() -> None:
    """The load balancer: its configuration, its state, and what it really does."""


@command.command()
@output.json_option
@click.pass_obj
def render(session: Session) -> None:
    """Print the load balancer's configuration, as `install` would write it."""
    files = session.driver.render()
    output.data(files, "".join(files.values()).removesuffix("\n"))


@command.command()
@click.option("--force", is_flag=True, help="Take over fields that others own (Kubernetes).")
@output.dry_run_option
@output.json_option
@click.pass_obj
def install(session: Session, force: bool, dry_run: bool) -> None:
    """Write the configuration and have the load balancer load it; the split is kept.

    Needed once, and when instances change. A configuration that is refused is taken back. Exits 7
    unless it is seen to serve, with the load balancer's own words and what to do.
    """
    if dry_run:
        done = [f"write {path}" for path in session.driver.render()]
        done.append("test it, reload, and ask the load balancer whether it serves it")
    else:
        work = session.driver.take_over if force else session.driver.install
        done = work() or ["nothing to do"]
    problems = [] if dry_run else session.driver.check()
    problems += [] if dry_run or problems else _strangers(session)
    value = {"done": done, "dry_run": dry_run, "problems": problems}
    lines = [*done, *(f"- {problem}" for problem in problems)]
    output.data(value, "\n".join(lines))
    if problems:
        raise TrafficError("The configuration is written, and does not serve as it should yet.")


@command.command()
@output.json_option
@click.pass_obj
def check(session: Session) -> None:
    """Say what is wrong with the load balancer's set-up; exit 7 if anything is."""
    problems = session.driver.check() + _strangers(session) + _too_little_room(session)
    text = "\n".join(f"- {problem}" for problem in problems) or "ready"
    output.data({"ready": not problems, "problems": problems}, text)
    if problems:
        raise TrafficError(f"{len(problems)} thing(s) to put right before traffic can move.")


def _too_little_room(session: Session) -> list[str]:
    """Whether the load balancer has too little room for all sessions that live now."""
    from mina_ops.operator.api.client import AppClient

    room = session.driver.sessions()
    live = 0
    for colour in session.settings.colours.values():
        with suppress(OperatorError), AppClient(colour.name, colour.url) as client:
            live += client.connections().active or 0
    if room is None or room >= live * _ROOM_PER_SESSION:
        return []
    return [
        f"The load balancer can carry {room} websockets at once, {live} live now: a move needs "
        "room for more. Raise worker_connections in nginx.conf, where each session takes two, "
        "maxconn of HAProxy, or traffic.envoy.most_connections."
    ]


def _strangers(session: Session) -> list[str]:
    """Addresses that do not answer as who they should be."""
    from mina_ops.operator.traffic import identity

    try:
        split = session.driver.read().split
    except TrafficError:
        # `check` says so itself.
        split = None
    return identity.problems(session.settings, split)


@command.command()
@output.json_option
@click.pass_obj
def read(session: Session) -> None:
    """Print what the load balancer does now, asked of it."""
    reading = session.driver.read()
    source = "read back" if reading.proven else "as told last; this platform cannot be asked"
    text = f"{reading.split.describe()} (generation {reading.generation}, {source})"
    output.data(reading.to_json(), text)


@command.command()
@click.option(
    "--split",
    "source",
    default="-",
    metavar="FILE",
    help='JSON as {"percent": {"blue": 90, "green": 10}, "cohorts": {}}; "-" is standard input.',
)
@click.option("--lock", "lock_id", metavar="ID", help="The controller's id, which holds the site.")
@output.json_option
@click.pass_obj
def apply(session: Session, source: str, lock_id: str | None) -> None:
    """Apply a whole split as it is, without asking the colours; `switch` is what people use.

    This is what a controller runs on each nginx host of `[traffic.nginx.hosts]`.
    """
    from mina_ops.operator.traffic.model import Split

    try:
        text = sys.stdin.read() if source == "-" else Path(source).read_text(encoding="utf-8")
        split = Split.from_json(json.loads(text))
    except (OSError, ValueError) as exc:
        raise ConfigurationError(f"--split: {source} holds no JSON that can be read.") from exc
    unknown = set(split.percent) ^ set(session.settings.colours)
    if unknown:
        raise ConfigurationError(
            f"The split has {', '.join(split.percent)}; this load balancer has "
            f"{', '.join(session.settings.colours)}."
        )
    with moving.locked(session, "traffic apply", lock_id=lock_id) as lock:
        lock.require_held()
        applied = session.driver.apply(split)
    value = {**applied.after.to_json(), "before": applied.before.to_json()}
    value["milliseconds"] = round(applied.milliseconds, 3)
    output.data(value, applied.after.split.describe())


@command.command(name="catch-up")
@click.option(
    "--from",
    "sources",
    multiple=True,
    required=True,
    metavar="COMMAND",
    help='Runs mina-ops on another host of the site, as "ssh lb1 mina-ops"; may be repeated.',
)
@output.json_option
@click.pass_obj
def catch_up(session: Session, sources: tuple[str, ...]) -> None:
    """Take over the split of the site's other hosts, before this load balancer is started.

    A host that was away missed what was switched meanwhile, and would serve by the split that it
    kept. Where no other host answers, as after a power cut, it goes on with that: exit 0.
    """
    from mina_ops.operator.traffic.catching_up import catch_up

    caught = catch_up(session.driver, sources)
    for name, why in caught.silent.items():
        output.say(f"{name} does not answer: {why}")
    output.data(caught.to_json(), caught.describe())


@command.command(hidden=True)
@output.json_option
@click.pass_obj
def hold(session: Session) -> None:
    """Hold this load balancer's lock for the holder on standard input: for controllers."""
    from mina_ops.operator.api.leases import Holder

    try:
        mine = Holder.from_json(json.load(sys.stdin))
    except (AttributeError, ValueError) as exc:
        raise ConfigurationError("Standard input names no holder of a lock.") from exc
    _tell(session.driver.hold(mine))


@command.command(hidden=True)
@click.option("--id", "lease_id", required=True, help="The holder's id.")
@output.json_option
@click.pass_obj
def free(session: Session, lease_id: str) -> None:
    """Free this load balancer's lock: for controllers."""
    session.driver.free(lease_id)
    _tell(session.driver.holder())


@command.command(hidden=True)
@output.json_option
@click.pass_obj
def holder(session: Session) -> None:
    """Say who holds this load balancer's lock: for controllers."""
    _tell(session.driver.holder())


def _tell(held: Holder | None) -> None:
    value = None if held is None else held.to_json()
    output.data({"holder": value}, "free" if held is None else held.purpose)


@command.command()
@click.argument("colour")
@output.json_option
@click.pass_obj
def tester(session: Session, colour: str) -> None:
    """Print the value that sends a tester to COLOUR before it has a share.

    Give it as the cookie mina_tester, or as the header X-Mina-Tester.
    """
    from mina_ops.operator.traffic.testers import read_secret

    name = session.settings.colour(colour).name
    table = session.settings.section("traffic", session.settings.driver)
    found = read_secret(table).values([name])
    if not found:
        raise table.wrong(
            "tester_secret_file", "set it (or tester_secret_env), then `mina-ops traffic install`."
        )
    output.data({"colour": name, "value": found[name]}, found[name])


@command.command()
@click.argument("colour")
@output.json_option
@click.pass_obj
def forget(session: Session, colour: str) -> None:
    """Keep open pages with the release of COLOUR no longer: before it is deployed anew.

    They go where their visitors go. `mina-ops release` does so by itself.
    """
    from mina_ops.operator.traffic import pins

    name = session.settings.colour(colour).name
    with moving.locked(session, f"traffic forget {name}") as lock:
        before = session.driver.read().split
        lock.require_held()
        applied = session.driver.apply(pins.forgetting(before, name))
    kept = ", ".join(applied.after.split.releases.values()) or "no release"
    output.data(applied.after.to_json(), f"pages are kept with: {kept}")


@command.command()
@click.argument("colour")
@click.argument("percent", type=click.IntRange(0, 100))
@click.option("--force", is_flag=True, help="Even if a colour that gets more is not ready.")
@output.dry_run_option
@output.json_option
@click.pass_context
def weight(context: click.Context, colour: str, percent: int, force: bool, dry_run: bool) -> None:
    """Give COLOUR this PERCENT of new visitors; the same as `switch OTHER COLOUR --canary`."""
    from mina_ops.cli.switch import command as switch

    session: Session = context.obj
    source = session.settings.other(colour).name
    context.invoke(
        switch, source=source, target=colour, canary=percent, force=force, dry_run=dry_run
    )
