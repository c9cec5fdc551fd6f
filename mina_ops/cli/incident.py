"""`mina-ops incident`: the first minutes of an emergency."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mina_ops.cli import optional, output
from mina_ops.cli.session import Session
from mina_ops.operator.system.signals import unwinding

if TYPE_CHECKING:
    from mina_ops.operator.config.incident import IncidentOptions
    from mina_ops.operator.incident.letters import Progress
    from mina_ops.operator.incident.recipients import Aside
    from mina_ops.operator.notify.channels import Delivery, Notifier

_SEVERITIES = click.Choice(["critical", "high", "medium", "low"])
_STATES = click.Choice(["operational", "degraded", "outage", "maintenance"])


@click.group(name="incident")
def command() -> None:
    """The first minutes of an emergency: people called, evidence kept, users told."""


def _options(session: Session) -> IncidentOptions:
    from mina_ops.operator.config import incident

    return incident.read(optional.table(session, "incident"))


def _notifier(session: Session) -> Notifier:
    from mina_ops.operator.notify import channels as notify

    return notify.from_table(optional.table(session, "notify"))


def say_deliveries(deliveries: list[Delivery]) -> None:
    """Say on stderr which channels were reached."""
    for item in deliveries:
        output.say(f"{item.channel}: {'told' if item.delivered else f'NOT told, {item.problem}'}")
    if not deliveries:
        output.say("Nobody was called: [notify.channels] of mina-ops.toml has no channel for this.")


@command.command()
@click.option("--activate", "action", flag_value="activate", help="Open it and call people.")
@click.option("--deactivate", "action", flag_value="deactivate", help="Close it.")
@click.option("--status", "action", flag_value="status", help="Whether it is open.")
@click.option("--why", default="", help="One sentence that people are told.")
@output.dry_run_option
@output.json_option
@click.pass_obj
def hotline(session: Session, action: str | None, why: str, dry_run: bool) -> None:
    """The emergency hotline; opening an open one changes nothing and calls nobody again."""
    from mina_ops.operator.incident import record, response

    if action is None:
        raise click.UsageError("Give one of --activate, --deactivate and --status.")
    options, now = _options(session), datetime.now(UTC)
    found = record.ongoing(options.folder, "hotline")
    join = f" Join: {options.bridge}" if options.bridge else ""
    if action == "status" or dry_run:
        state = "open" if found else "closed"
        would = "" if action == "status" else f" Would {action} it."
        value = {"hotline": state, "since": found.events[0]["at"] if found else None}
        output.data(value, f"The hotline is {state}.{would}{join}")
        return
    if action == "activate":
        incident, deliveries = response.activate_hotline(options, _notifier(session), now, why)
        text = f"The hotline is open: {incident.name}.{join}"
    else:
        incident, deliveries = response.close_hotline(options, _notifier(session), now)
        text = f"The hotline is closed: {incident.name}."
    if found is None or action == "deactivate":
        say_deliveries(deliveries)
    value = {"hotline": "open" if incident.open else "closed", "incident": incident.name}
    output.data(value, text)


@command.command()
@click.option("--severity", type=_SEVERITIES, help="critical, high, medium or low.")
@click.option("--text", default="", help="What is known, in a sentence.")
@click.option("--close", is_flag=True, help="The incident is over.")
@output.dry_run_option
@output.json_option
@click.pass_obj
def security(session: Session, severity: str | None, text: str, close: bool, dry_run: bool) -> None:
    """A security incident: recorded, people called, logs kept as evidence."""
    from mina_ops.operator.incident import response

    if close == (severity is not None):
        raise click.UsageError("Give --severity, or --close.")
    options, now = _options(session), datetime.now(UTC)
    if dry_run:
        value = {"dry_run": True, "severity": severity, "folder": str(options.folder)}
        what = "close the incident" if close else f"open a {severity} incident, call people and"
        what += "" if close else f" keep {', '.join(options.access_logs)} as evidence"
        output.data(value, f"Would {what} in {options.folder}.")
        return
    if close:
        incident = response.close_security_incident(options, now)
        output.data({"incident": incident.name}, f"{incident.name} is closed.")
        return
    incident, deliveries = response.open_security_incident(
        options, _notifier(session), str(severity), text, now
    )
    say_deliveries(deliveries)
    kept = incident.events[-1]
    steps = list(response.SECURITY_STEPS)
    opened = {"incident": incident.name, "kept": kept["kept"], "next": steps}
    lines = [f"{incident.name}: recorded in {incident.file}"]
    lines.append(
        f"Evidence: {len(kept['kept'])} logs in {response.evidence_folder(options, incident)}"
        + (f" ({kept['remark']})" if kept.get("remark") else "")
    )
    lines += ["Next:", *(f"  {n}. {step}" for n, step in enumerate(steps, 1))]
    output.data(opened, "\n".join(lines))


@command.command(name="status-page")
@click.option("--state", type=_STATES, help="Default: outage; with --from: maintenance.")
@click.option("--text", help="Default: read from standard input.")
@click.option(
    "--component",
    "components",
    multiple=True,
    metavar="NAME",
    help="What it is about, as [incident] status_components names it; repeatable.",
)
@click.option("--from", "begin", metavar="TIME", help="Announce maintenance: when it begins.")
@click.option("--to", "end", metavar="TIME", help="When it ends, as '2025-10-25 22:00' (UTC).")
@click.option("--call-off", is_flag=True, help="Take announced maintenance back.")
@output.dry_run_option
@output.json_option
@click.pass_obj
def status_page(session: Session, /, dry_run: bool, **given: Any) -> None:
    """Publish an update, or announced maintenance, on the static status page."""
    from mina_ops.cli.status_page import published

    published(_options(session), given, dry_run=dry_run)


@command.command()
@click.option("--since", default="24 hours ago", show_default=True, help="As '2 hours ago'.")
@click.option("--log", "logs", multiple=True, metavar="PATTERN", help="Access logs; repeatable.")
@click.option("--audit-log", "audits", multiple=True, metavar="PATTERN", help="The app's logs.")
@output.dry_run_option
@output.json_option
@click.pass_obj
def logs(
    session: Session, since: str, logs: tuple[str, ...], audits: tuple[str, ...], dry_run: bool
) -> None:
    """Suspicious patterns in access and audit logs. Exit code 11 if there is one."""
    from mina_ops.operator.database.connection.errors import FaultsFound
    from mina_ops.operator.logs import lines as access_lines
    from mina_ops.operator.logs import review as access_logs
    from mina_ops.operator.system import times as moments

    options, now = _options(session), datetime.now(UTC)
    begin = moments.moment(since, now)
    found = access_lines.files(logs or options.access_logs)
    patterns = audits or options.audit_logs
    audited = access_lines.files(patterns) if patterns else []
    if dry_run:
        names = [str(path) for path in (*found, *audited)]
        value = {"dry_run": True, "since": begin.isoformat(), "logs": names}
        output.data(value, f"Would read {', '.join(names)} since {begin:%F %T}.")
        return
    reading = access_lines.Reading()
    review = access_logs.of_files(reading, found, audited, begin, now)
    access_lines.require_one(reading, found)
    output.data(review.to_json(), review.to_text())
    if review.suspicions:
        raise FaultsFound("Somebody should look at these addresses.")
    if not review.is_whole:
        raise FaultsFound("A part of the logs could not be read.")


@command.command(name="notify-users")
@click.option("--template", required=True, help="Name of the letter, as security_breach.")
@click.option("--set", "values", multiple=True, metavar="KEY=VALUE", help="Fills a placeholder.")
@click.option("--recipients", type=click.Path(path_type=Path), help="File: address,name lines.")
@click.option(
    "--batch", type=click.IntRange(1), default=50, show_default=True, help="Letters in a row."
)
@click.option(
    "--pause",
    type=click.FloatRange(0),
    default=1.0,
    show_default=True,
    metavar="SECONDS",
    help="Pause between two batches.",
)
@click.option(
    "--retry-unknown", is_flag=True, help="Also those that a killed run was just writing to."
)
@click.option(
    "--bounces",
    type=click.Path(path_type=Path, exists=True),
    help="Letters that came back: mbox, Maildir, a message, or a list of addresses.",
)
@output.dry_run_option
@output.json_option
@click.pass_obj
def notify_users(
    session: Session,
    template: str,
    values: tuple[str, ...],
    recipients: Path | None,
    batch: int,
    pause: float,
    retry_unknown: bool,
    bounces: Path | None,
    dry_run: bool,
) -> None:
    """Write a letter to users, in batches; run again, it goes on and tells nobody twice."""
    from mina_ops.operator.incident import bounces as returned
    from mina_ops.operator.incident import letters, mailing

    options = _options(session)
    came_back = returned.read(bounces) if bounces else []
    letter = mailing.letter(options, template, values)
    people = mailing.recipients(options, recipients)
    journal = options.folder / f"letters-{template}-{letter.campaign}.jsonl"
    if dry_run:
        value = {"dry_run": True, "recipients": len(people.recipients), "subject": letter.subject}
        value["aside"] = [str(one) for one in people.aside]
        text = f"Would write {letter.subject!r} to {len(people.recipients)} people."
        text = "\n".join([text, *_who_cannot_be_told(people.aside), "", letter.body])
        output.data(value, text)
        return
    with unwinding():
        done = letters.post(
            letter,
            people.recipients,
            journal,
            send=options.send,
            sender=options.sender,
            batch=batch,
            pause_seconds=pause,
            retry_unknown=retry_unknown,
            bounces=came_back,
            say=lambda progress: output.say(_progress_line(progress)),
        )
    _say_who_was_told(done, [*people.aside, *done.refused])


def _progress_line(progress: Progress) -> str:
    text = f"{progress.before + progress.sent} of {progress.total} written"
    text += f", {progress.failed} refused" if progress.failed else ""
    left = progress.seconds_left
    return text + (f", about {max(1, round(left / 60))} min left" if left and left > 5 else "")


def _say_who_was_told(done: Progress, aside: Sequence[Aside]) -> None:
    from mina_ops.errors import OperatorError

    value: dict[str, Any] = {"total": done.total, "sent": done.sent, "already": done.before}
    value |= {"failed": done.failed, "unknown": done.unknown, "bounced": done.bounced}
    value |= {"aside": [str(one) for one in aside]}
    text = (
        f"{done.sent} letters sent, {done.before} were sent before, {done.failed} refused, "
        f"{done.bounced} came back, "
        f"{done.unknown} unknown (an earlier run was killed; --retry-unknown sends them)."
    )
    output.data(value, "\n".join([text, *_who_cannot_be_told(aside)]))
    if aside:
        raise OperatorError(
            f"{len(aside)} people could not be told; everybody else was. Tell them otherwise, or "
            "mend their addresses and run the same command again."
        )


def _who_cannot_be_told(aside: Sequence[Aside]) -> list[str]:
    return [f"Cannot be told: {one}" for one in aside]
