"""An incident is recorded, people are called once, and evidence outlives logrotate."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mina_ops.errors import OperatorError
from mina_ops.operator.config.incident import IncidentOptions
from mina_ops.operator.database.backup.manifest import sha256
from mina_ops.operator.incident import record, response
from mina_ops.operator.notify.channels import Notifier

NOW = datetime(2025, 10, 25, 9, 55, tzinfo=UTC)


@pytest.fixture
def options(tmp_path: Path) -> IncidentOptions:
    (tmp_path / "access.log").write_text("line\n")
    return IncidentOptions(
        folder=tmp_path / "incidents",
        bridge="https://meet.example.com/sos",
        people=("Ana",),
        access_logs=(f"{tmp_path}/access.log*",),
    )


def test_hotline_opens_once_and_closes(options: IncidentOptions) -> None:
    first, _ = response.activate_hotline(options, Notifier(), NOW, "all down")
    again, told = response.activate_hotline(options, Notifier(), NOW + timedelta(minutes=1))
    assert again.name == first.name == "20251025T095500-hotline"
    assert told == []
    closed, _ = response.close_hotline(options, Notifier(), NOW)
    assert not closed.open
    with pytest.raises(OperatorError, match="No hotline"):
        response.close_hotline(options, Notifier(), NOW)


def test_security_incident_keeps_the_logs(options: IncidentOptions, tmp_path: Path) -> None:
    incident, _ = response.open_security_incident(options, Notifier(), "critical", "a leak", NOW)
    (tmp_path / "access.log").unlink()
    (kept,) = incident.events[-1]["kept"]
    copy = response.evidence_folder(options, incident) / kept["file"]
    assert copy.read_text() == "line\n"
    assert kept["sha256"] == sha256(copy)
    assert copy.stat().st_mode & 0o777 == 0o400
    assert options.folder.stat().st_mode & 0o777 == 0o700
    again, _ = response.open_security_incident(options, Notifier(), "high", "more", NOW)
    assert again.name == incident.name
    assert "No log matches" in again.events[-1]["remark"]


def test_half_written_line_of_a_killed_run_is_passed_over(options: IncidentOptions) -> None:
    incident, _ = response.activate_hotline(options, Notifier(), NOW)
    with incident.file.open("a") as file:
        file.write('{"event": "clo')
    found = record.ongoing(options.folder, "hotline")
    assert found is not None
    assert found.open
