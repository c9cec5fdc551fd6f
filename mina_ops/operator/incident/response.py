"""The first minutes of an incident: it is recorded, people are called, evidence is kept."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from mina_ops import files
from mina_ops.errors import MinaOpsError, OperatorError
from mina_ops.operator.config.incident import IncidentOptions
from mina_ops.operator.database.backup.manifest import sha256
from mina_ops.operator.incident import record
from mina_ops.operator.incident.record import Incident
from mina_ops.operator.logs import lines as access_lines
from mina_ops.operator.notify.channels import Delivery, Notifier

SECURITY_STEPS = (
    "./scripts/rotate_secrets.sh --all --force",
    './scripts/audit_access_logs.sh --since "2 hours ago"',
    "git checkout -b hotfix/security-patch",
    "git push && ./scripts/emergency_deploy.sh",
    "./scripts/notify_users.sh --template security_breach",
)


def activate_hotline(
    options: IncidentOptions, notifier: Notifier, now: datetime, why: str = ""
) -> tuple[Incident, list[Delivery]]:
    """The open hotline and who was told; an open one is returned as it is, and nobody is told."""
    if found := record.ongoing(options.folder, "hotline"):
        return found, []
    incident = record.begin(options.folder, "hotline", now, why=why)
    deliveries = notifier.send("hotline", _call(options, why))
    return _told(incident, deliveries, now), deliveries


def close_hotline(
    options: IncidentOptions, notifier: Notifier, now: datetime
) -> tuple[Incident, list[Delivery]]:
    """The closed hotline and who was told.

    Raises:
        OperatorError: none is open.
    """
    incident = record.ongoing(options.folder, "hotline")
    if incident is None:
        raise OperatorError("No hotline is open.")
    deliveries = notifier.send("hotline", "The hotline is closed; the incident is over.")
    return record.note(incident, "closed", now), deliveries


def open_security_incident(
    options: IncidentOptions, notifier: Notifier, severity: str, text: str, now: datetime
) -> tuple[Incident, list[Delivery]]:
    """A recorded security incident with its evidence kept, and who was told.

    A second call while one is open adds to that one, and people are told again.
    """
    found = record.ongoing(options.folder, "security")
    if found is None:
        incident = record.begin(options.folder, "security", now, severity=severity, text=text)
    else:
        incident = record.note(found, "escalated", now, severity=severity, text=text)
    people = f"\nOn duty: {', '.join(options.people)}" if options.people else ""
    bridge = f"\nJoin: {options.bridge}" if options.bridge else ""
    deliveries = notifier.send(
        "security", f"SECURITY INCIDENT, {severity}\n{text or 'Details follow.'}{people}{bridge}"
    )
    incident = _told(incident, deliveries, now)
    return keep_evidence(options, incident, now), deliveries


def close_security_incident(options: IncidentOptions, now: datetime) -> Incident:
    """The closed security incident.

    Raises:
        OperatorError: none is open.
    """
    incident = record.ongoing(options.folder, "security")
    if incident is None:
        raise OperatorError("No security incident is open.")
    return record.note(incident, "closed", now)


def keep_evidence(options: IncidentOptions, incident: Incident, now: datetime) -> Incident:
    """The incident with copies of the logs beside it, before logrotate or a thief removes them."""
    folder = options.folder / f"{incident.name}.evidence"
    try:
        logs = access_lines.files([*options.access_logs, *options.audit_logs])
    except MinaOpsError as exc:
        return record.note(incident, "evidence", now, kept=[], remark=str(exc))
    files.make_folder(folder)
    kept, remarks = [], []
    for log in logs:
        target = folder / f"{now:%H%M%S}-{log.name}"
        try:
            shutil.copy2(log, target)
            target.chmod(0o400)
            kept.append({"file": target.name, "from": str(log), "sha256": sha256(target)})
        except OSError as exc:
            remarks.append(f"{log}: {exc.strerror}")
    return record.note(incident, "evidence", now, kept=kept, remark="; ".join(remarks))


def evidence_folder(options: IncidentOptions, incident: Incident) -> Path:
    """Where the incident's evidence lies."""
    return options.folder / f"{incident.name}.evidence"


def _call(options: IncidentOptions, why: str) -> str:
    lines = [f"EMERGENCY HOTLINE\n{why or 'Total system failure.'}"]
    lines += [f"Join: {options.bridge}"] if options.bridge else []
    lines += [f"On duty: {', '.join(options.people)}"] if options.people else []
    return "\n".join(lines)


def _told(incident: Incident, deliveries: Sequence[Delivery], now: datetime) -> Incident:
    told = [item.channel for item in deliveries if item.delivered]
    missed = {item.channel: item.problem for item in deliveries if not item.delivered}
    return record.note(incident, "called", now, told=told, missed=missed)
