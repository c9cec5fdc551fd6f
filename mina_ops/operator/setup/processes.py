"""How the app's processes are started: environment files, systemd units, or a Procfile."""

from __future__ import annotations

from pathlib import Path

from mina_ops.operator.setup.wishes import WORKERS, Wishes

# Above MINA_OPS_SIGTERM_GRACE (20 s): a process that ends hands its sessions over first.
_GRACEFUL_SECONDS = 25
_STOP_SECONDS = 30


def environment(wishes: Wishes, digest: str) -> str:
    """What all processes of both colours are given."""
    return (
        "# Read by every process of both colours. SECRET_KEY and DATABASE_URL belong here, too:\n"
        "# both colours must have the same.\n"
        f"REDIS_URL={wishes.redis_url}\n"
        f"MINA_OPS_ADMIN_TOKENS={wishes.token_name}:{digest}\n"
    )


def colour_environment(colour: str) -> str:
    """What the processes of one colour are given; a release writes its version here."""
    return f"ENVIRONMENT={colour}\nAPP_VERSION=v1\n"


def units(wishes: Wishes, gunicorn: str, directory: Path) -> dict[str, str]:
    """File name -> systemd unit: one for each process, and a target for each colour."""
    found = {}
    for colour in ("blue", "green"):
        target = f"{wishes.product}-{colour}.target"
        found[target] = (
            f"[Unit]\nDescription={wishes.product}: all processes of {colour}\n\n"
            "[Install]\nWantedBy=multi-user.target\n"
        )
        for index, port in enumerate(wishes.ports(colour)):
            found[f"{wishes.product}-{colour}-{index}.service"] = _unit(
                wishes, colour, index, f"{gunicorn} {_arguments(wishes, port)}", directory
            )
    return found


def _unit(wishes: Wishes, colour: str, index: int, command: str, directory: Path) -> str:
    target = f"{wishes.product}-{colour}.target"
    return (
        f"[Unit]\nDescription={wishes.product}: {colour}, process {index}\n"
        f"After=network-online.target\nPartOf={target}\n\n"
        f"[Service]\nWorkingDirectory={directory}\n"
        f"EnvironmentFile={wishes.folder / wishes.product}.env\n"
        f"EnvironmentFile={wishes.folder / colour}.env\n"
        f"Environment=MINA_OPS_INSTANCE={index}\n"
        f"ExecStart={command}\n"
        "# The main process alone: it tells its worker, which hands its sessions over.\n"
        f"KillMode=mixed\nTimeoutStopSec={_STOP_SECONDS}\nRestart=on-failure\n\n"
        f"[Install]\nWantedBy={target}\n"
    )


def procfile(wishes: Wishes) -> str:
    """A Procfile with a line for each process of both colours, for honcho, overmind or foreman."""
    lines = [
        "# `set -a; . FILE` reads a file's variables; honcho, overmind and foreman start these.",
    ]
    for colour in ("blue", "green"):
        for index, port in enumerate(wishes.ports(colour)):
            files = f". {wishes.folder / wishes.product}.env; . {wishes.folder / colour}.env"
            lines.append(
                f"{colour}-{index}: set -a; {files}; MINA_OPS_INSTANCE={index}; "
                f"exec gunicorn {_arguments(wishes, port)}"
            )
    return "\n".join(lines) + "\n"


def _arguments(wishes: Wishes, port: int) -> str:
    app = f"'{wishes.app}'" if "(" in wishes.app else wishes.app
    return (
        f"-w 1 {WORKERS[wishes.worker]} --graceful-timeout {_GRACEFUL_SECONDS} "
        f"--bind 127.0.0.1:{port} {app}"
    )
