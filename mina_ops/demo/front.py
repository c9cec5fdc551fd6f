"""Starts nginx before the colours, and writes the mina-ops.toml of the site."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from mina_ops.demo import programs
from mina_ops.demo.processes import HOST, AddressInUse, Server, free_port
from mina_ops.demo.servers import nginx_configuration, start_nginx
from mina_ops.operator.config.settings import OperatorSettings, load
from mina_ops.operator.traffic import open_driver

SETTINGS_FILE = "mina-ops.toml"
TOKEN_FILE = "admin.token"  # noqa: S105 - a file's name, not a token

_NGINX_ATTEMPTS = 5

Instances = Mapping[str, Sequence[Server]]


def start_traffic(
    folder: Path, instances: Instances, versions: Mapping[str, str]
) -> tuple[OperatorSettings, Server]:
    """The stage's settings, and nginx on free ports with all traffic on the first colour.

    Raises:
        ServerFailed: nginx did not start.
    """
    for attempt in range(_NGINX_ATTEMPTS):
        try:
            return _start_on(folder, instances, versions, free_port(), free_port())
        except AddressInUse:
            if attempt + 1 == _NGINX_ATTEMPTS:
                raise
    raise AssertionError("unreachable")


def _start_on(
    folder: Path, instances: Instances, versions: Mapping[str, str], public: int, control: int
) -> tuple[OperatorSettings, Server]:
    own = folder / "nginx"
    own.mkdir(exist_ok=True)
    file = folder / SETTINGS_FILE
    file.write_text(settings_text(instances, versions, own, public, control))
    settings = load(file)
    site = own / "state" / "mina.conf"
    main = own / "nginx.conf"
    main.unlink(missing_ok=True)
    open_driver(settings).install()
    main.write_text(nginx_configuration(own, f"    include {site};"))
    return settings, start_nginx(own, main, port=public)


def settings_text(
    instances: Instances, versions: Mapping[str, str], nginx: Path, public: int, control: int
) -> str:
    """The stage's mina-ops.toml."""
    lines = ["[public]", f'url = "http://{HOST}:{public}"']
    lines += ["", "[token]", f'file = "{TOKEN_FILE}"']
    for colour, servers in instances.items():
        lines += ["", f"[colours.{colour}]", f'url = "{servers[0].url}"']
        lines += [f'version = "{versions[colour]}"', f"[colours.{colour}.instances]"]
        lines += [f'{i} = "{HOST}:{s.port}"' for i, s in enumerate(servers)]
    lines += ["", "[traffic]", 'driver = "nginx"', "", "[traffic.nginx]"]
    lines += [f'listen = "{HOST}:{public}"', f'control = "{HOST}:{control}"']
    lines += [f'state = "{nginx / "state"}"', f'program = "{programs.nginx()}"']
    lines += [f'main = "{nginx / "nginx.conf"}"', f'prefix = "{nginx}"']
    return "\n".join(lines) + "\n"
