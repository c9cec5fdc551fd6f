"""Writes what starts the app's processes: environment files, systemd units, or a Procfile."""

from __future__ import annotations

from pathlib import Path

from mina_ops.operator.setup.options import WORKERS, SetupOptions

# Longer than MINA_OPS_SIGTERM_GRACE (20 s), in which a process that ends hands its sessions over.
_GRACEFUL_SECONDS = 25
_STOP_SECONDS = 30


def environment(options: SetupOptions, digest: str) -> str:
    """What all processes of both colours are given."""
    return (
        "# Read by every process of both colours. SECRET_KEY and DATABASE_URL belong here, too:\n"
        "# both colours must have the same.\n"
        f"REDIS_URL={options.redis_url}\n"
        f"MINA_OPS_ADMIN_TOKENS={options.token_name}:{digest}\n"
    )


def colour_environment(colour: str) -> str:
    """What the processes of one colour are given; a release writes its version here."""
    return f"ENVIRONMENT={colour}\nAPP_VERSION=v1\n"


def units(options: SetupOptions, gunicorn: str, directory: Path) -> dict[str, str]:
    """File name -> systemd unit: one for each process, and a target for each colour."""
    found = {}
    for colour in ("blue", "green"):
        target = f"{options.product}-{colour}.target"
        found[target] = (
            f"[Unit]\nDescription={options.product}: all processes of {colour}\n\n"
            "[Install]\nWantedBy=multi-user.target\n"
        )
        for index, port in enumerate(options.ports(colour)):
            found[f"{options.product}-{colour}-{index}.service"] = _unit(
                options, colour, index, f"{gunicorn} {_arguments(options, port)}", directory
            )
    return found


def _unit(options: SetupOptions, colour: str, index: int, command: str, directory: Path) -> str:
    target = f"{options.product}-{colour}.target"
    return (
        f"[Unit]\nDescription={options.product}: {colour}, process {index}\n"
        f"After=network-online.target\nPartOf={target}\n\n"
        f"[Service]\nWorkingDirectory={directory}\n"
        f"EnvironmentFile={options.folder / options.product}.env\n"
        f"EnvironmentFile={options.folder / colour}.env\n"
        f"Environment=MINA_OPS_INSTANCE={index}\n"
        f"ExecStart={command}\n"
        "# SIGTERM goes to the main process alone; it tells its worker to hand its sessions over.\n"
        f"KillMode=mixed\nTimeoutStopSec={_STOP_SECONDS}\nRestart=on-failure\n\n"
        f"[Install]\nWantedBy={target}\n"
    )


def procfile(options: SetupOptions) -> str:
    """A Procfile with a line for each process of both colours, for honcho, overmind or foreman."""
    lines = [
        "# `set -a; . FILE` reads a file's variables; honcho, overmind and foreman start these.",
    ]
    for colour in ("blue", "green"):
        for index, port in enumerate(options.ports(colour)):
            files = f". {options.folder / options.product}.env; . {options.folder / colour}.env"
            lines.append(
                f"{colour}-{index}: set -a; {files}; MINA_OPS_INSTANCE={index}; "
                f"exec gunicorn {_arguments(options, port)}"
            )
    return "\n".join(lines) + "\n"


def _arguments(options: SetupOptions, port: int) -> str:
    app = f"'{options.app}'" if "(" in options.app else options.app
    return (
        f"-w 1 {WORKERS[options.worker]} --graceful-timeout {_GRACEFUL_SECONDS} "
        f"--bind 127.0.0.1:{port} {app}"
    )
