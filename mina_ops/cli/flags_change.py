"""The commands of `mina-ops flags` that change something."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import click

from mina_ops.cli import flags_view, output
from mina_ops.cli.session import Session

_DURATION = re.compile(r"(\d+(?:\.\d+)?)([smhd]?)")
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}


@click.command("set")
@click.argument("key")
@click.argument("fields", nargs=-1, metavar="[FIELD=VALUE]...")
@click.option("--on/--off", "enabled", default=None, help="Turn it on or off.")
@click.option("--percent", type=click.FloatRange(0, 100), help="Same as rollout_percent=.")
@click.option("--confirm", type=click.FloatRange(0, 30), metavar="SECONDS", help="Wait for all.")
@output.dry_run_option
@output.colour_option
@output.json_option
@click.pass_obj
def set_fields(
    session: Session,
    key: str,
    fields: tuple[str, ...],
    enabled: bool | None,
    percent: float | None,
    confirm: float | None,
    dry_run: bool,
    colour: str | None,
) -> None:
    """Set fields of the flag KEY; the others stay. A new flag is off unless --on is given.

    A VALUE is JSON, or text where it is none: owner=ops allow='["7"]' minimum_release=v2.5.0
    Turning off waits until every live process has applied it; exits 3 if one has not.
    """
    values = dict(_field(text) for text in fields)
    values |= {} if enabled is None else {"enabled": enabled}
    values |= {} if percent is None else {"rollout_percent": percent}
    if dry_run:
        text = f"would set of {key}: {json.dumps(values)}"
        output.data({"dry_run": True, "key": key, **values}, text)
        return
    from mina_ops.operator.api.flags import require_confirmed

    with session.flags(colour) as client:
        answer = client.set(key, values, confirm_seconds=confirm)
    output.data(answer, flags_view.line(answer))
    require_confirmed(answer)


@click.command("delete")
@click.argument("key")
@output.dry_run_option
@output.colour_option
@output.json_option
@click.pass_obj
def delete(session: Session, key: str, dry_run: bool, colour: str | None) -> None:
    """Delete the flag KEY; code that asks for it gets its declared answer, else off."""
    from mina_ops.operator.api.flags import require_confirmed

    with session.flags(colour) as client:
        if dry_run:
            flag = client.existing(key)
            text = f"would delete {flags_view.line(flag)}"
            output.data({"dry_run": True, "key": key, "flag": flag}, text)
            return
        answer = client.delete(key)
    output.data(answer, f"{key} is deleted")
    require_confirmed(answer)


@click.command("undo")
@click.argument("key", required=False)
@click.option("--change", metavar="ID", help="Undo this change, see history.")
@output.colour_option
@output.json_option
@click.pass_obj
def undo(session: Session, key: str | None, change: str | None, colour: str | None) -> None:
    """Put back exactly what was before the last change of the flag KEY; again goes further back.

    With --change and no KEY, all flags that this change touched.
    """
    if key is None and change is None:
        raise click.UsageError("Name a flag, or a change with --change.")
    from mina_ops.operator.api.flags import require_confirmed

    with session.flags(colour) as client:
        answer = client.undo(key, change)
    output.data(answer, f"put back: {', '.join(answer['changed'])}")
    require_confirmed(answer)


@click.command("disable-release")
@click.argument("version")
@output.dry_run_option
@output.colour_option
@output.json_option
@click.pass_obj
def disable_release(session: Session, version: str, dry_run: bool, colour: str | None) -> None:
    """Turn off every flag that release VERSION brought, in one step; `undo --change` reverts it."""
    from mina_ops.operator.api.flags import require_confirmed

    answer: dict[str, Any]
    with session.flags(colour) as client:
        if dry_run:
            brought = client.all(release=version)["flags"]
            on = [flag["key"] for flag in brought if flag["enabled"]]
            answer = {"dry_run": True, "changed": on}
        else:
            answer = client.disable_for_release(version)
    verb = "would turn off" if dry_run else "turned off"
    text = f"{verb}: {', '.join(answer['changed']) or 'nothing was on'}"
    output.data(answer, text)
    require_confirmed(answer)


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@output.dry_run_option
@output.colour_option
@output.json_option
@click.pass_obj
def load(session: Session, file: Path, dry_run: bool, colour: str | None) -> None:
    """Make flags exactly what FILE, an export, says; flags that it lacks stay."""
    try:
        wanted = json.loads(file.read_text(encoding="utf-8"))["flags"]
    except (ValueError, KeyError, TypeError) as exc:
        raise click.UsageError(f"{file} is no export: it holds no object with flags.") from exc
    with session.flags(colour) as client:
        if dry_run:
            held = {flag["key"]: flag for flag in client.export()["flags"]}
            changed = [flag["key"] for flag in wanted if held.get(flag["key"]) != flag]
        else:
            changed = client.load(wanted)
    verb = "would change" if dry_run else "changed"
    text = f"{verb}: {', '.join(changed) or 'nothing'}"
    output.data({"dry_run": dry_run, "changed": changed}, text)


@click.command("recover")
@click.option("--restore/--discard", default=None, help="Write back what was known, or forget it.")
@output.colour_option
@output.json_option
@click.pass_obj
def recover(session: Session, restore: bool | None, colour: str | None) -> None:
    """Settle a store that was emptied or went back: flags stay in force, but stale, until then."""
    if restore is None:
        raise click.UsageError("Give --restore or --discard.")
    with session.flags(colour) as client:
        answer = client.recover(restore=restore)
    output.data(answer, "restored" if restore else "discarded")


@click.command("rollout")
@click.argument("key")
@click.option(
    "--steps",
    default="10,25,50,100",
    show_default=True,
    metavar="PERCENTS",
    help="Its percentages, one after the other.",
)
@click.option("--every", default="1h", show_default=True, metavar="TIME", help="As 30s, 10m, 1h.")
@click.option(
    "--on-fail",
    type=click.Choice(["off", "hold"]),
    default="off",
    show_default=True,
    help="When a trigger fails: turn the flag off, or leave it at its percentage.",
)
@click.option(
    "--no-data",
    type=click.Choice(["wait", "continue"]),
    default="wait",
    show_default=True,
    help="What to do where too little traffic comes for a trigger.",
)
@output.dry_run_option
@click.option("--colour", metavar="COLOUR", help="Judge by this colour; default: the busiest.")
@output.json_option
@click.pass_obj
def rollout(
    session: Session,
    key: str,
    steps: str,
    every: str,
    on_fail: str,
    no_data: str,
    dry_run: bool,
    colour: str | None,
) -> None:
    """Grow the flag KEY step by step, each step only while the release triggers pass.

    The triggers are those of [release.triggers], on the figures of --colour or of the busiest
    one; what they compare with is figures from before the rollout. The same command goes on
    where a killed one ended. Exits 5 when a trigger failed and the flag was turned off.
    """
    from mina_ops.operator.api.flags import open_busiest
    from mina_ops.operator.flags.rollout import Rollout, RolloutPlan
    from mina_ops.operator.release import plan as plans

    release = plans.read(session.settings)
    plan = RolloutPlan(
        key=key,
        steps=_percents(steps),
        every_seconds=_duration(every),
        triggers=release.triggers,
        on_fail=on_fail,
        no_data=no_data,
        look_seconds=release.look_seconds,
        patience_seconds=release.patience_seconds,
    )
    client = open_busiest(session.settings) if colour is None else session.flags(colour)
    with client:
        running = Rollout(client, plan, output.say)
        if dry_run:
            lines = running.preview()
            output.data({"dry_run": True, "plan": lines}, "\n".join(lines))
            return
        flag = running.run()
    output.data(flag, flags_view.line(flag))


def _field(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals:
        raise click.UsageError(f"{text!r} is not FIELD=VALUE.")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _percents(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as exc:
        raise click.UsageError("--steps are percentages with commas, as 10,25,50,100.") from exc


def _duration(text: str) -> float:
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise click.UsageError("--every is a time such as 30s, 10m or 1h.")
    return float(match[1]) * _SECONDS[match[2]]


COMMANDS = (set_fields, delete, undo, disable_release, load, recover, rollout)
