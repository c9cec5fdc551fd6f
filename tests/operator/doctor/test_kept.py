"""What the doctor says of real gunicorns that close idle connections early or late."""

from __future__ import annotations

from pathlib import Path

from mina_ops.operator.config import settings
from mina_ops.operator.doctor import kept
from mina_ops.operator.doctor.findings import Finding, State
from tests.support.hosts import Hosts

APP = "tests.app.console.host:app"


def found(folder: Path, address: str, seconds: float) -> list[Finding]:
    lines = ["[public]", 'url = "http://127.0.0.1:1"', "[traffic]", 'driver = "gateway"']
    for colour in ("blue", "green"):
        lines += [f"[colours.{colour}]", f'url = "http://{address}"']
        lines += [f'instances = {{ "0" = "{address}" }}']
    file = folder / "mina-ops.toml"
    file.write_text("\n".join(lines) + "\n")
    return list(kept.examine(settings.load(file), seconds))


def test_a_gunicorn_that_closes_what_a_gateway_keeps_is_told(
    start_host: Hosts, tmp_path: Path
) -> None:
    """gunicorn as it is by itself, and as the shipped manifests start it."""
    early = start_host(APP).url[7:]
    # It is over as soon as both are closed.
    (told,) = found(tmp_path, early, 60)
    assert told.state is State.WARNING
    assert told.text.startswith("blue 0, green 0 closed a connection that was idle for ")
    assert "--keep-alive 95" in told.todo
    late = start_host(APP, options=("--keep-alive", "95")).url[7:]
    assert [one.state for one in found(tmp_path, late, 3)] == [State.OK]


def test_an_instance_that_cannot_be_asked_is_no_matter_of_this(tmp_path: Path) -> None:
    assert found(tmp_path, "127.0.0.1:1", 60) == []
