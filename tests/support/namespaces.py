"""Hosts of their own: network namespaces, each joined to a controller's by a link that can be cut.

A port that nobody listens on refuses at once; a host whose link is down answers nothing at all,
as a machine that lost its power. Only this shows whether somebody waits too long for it.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import pytest

_CONTROLLER = "controller"


@dataclass
class Network:
    """A controller's namespace, and one for each host.

    Attributes:
        addresses: host -> its address, which the controller reaches over a link of its own.
    """

    prefix: str
    addresses: dict[str, str] = field(default_factory=dict)

    def within(self, host: str = _CONTROLLER) -> list[str]:
        """What to put before a command so that it runs on a host; by default the controller's."""
        return ["ip", "netns", "exec", f"{self.prefix}-{host}"]

    def cut(self, host: str) -> None:
        """From now on, nothing that is sent to the host arrives."""
        _run([*self.within(host), "ip", "link", "set", "up-link", "down"])

    def join(self, host: str) -> None:
        """The link is there again."""
        _run([*self.within(host), "ip", "link", "set", "up-link", "up"])


@contextmanager
def network(*hosts: str) -> Iterator[Network]:
    """The namespaces, gone at the end; the test is skipped where none may be made."""
    made = Network(f"mina-{os.getpid()}")
    with ExitStack() as undo:
        for name in (_CONTROLLER, *hosts):
            _add(undo, f"{made.prefix}-{name}")
        for number, host in enumerate(hosts):
            # From the range that is set aside for tests of networks.
            ours, theirs = f"198.18.{number}.1", f"198.18.{number}.2"
            there = f"{made.prefix}-{host}"
            link = ["ip", "link", "add", host, "netns", f"{made.prefix}-{_CONTROLLER}"]
            _run([*link, "type", "veth", "peer", "name", "up-link", "netns", there])
            _up([*made.within()], host, ours)
            _up([*made.within(host)], "up-link", theirs)
            made.addresses[host] = theirs
        yield made


def _add(undo: ExitStack, name: str) -> None:
    try:
        _run(["ip", "netns", "add", name])
    except (OSError, AssertionError) as error:
        pytest.skip(f"no network namespace may be made here: {error}")
    undo.callback(_run, ["ip", "netns", "delete", name])
    _run(["ip", "netns", "exec", name, "ip", "link", "set", "lo", "up"])


def _up(within: Sequence[str], link: str, address: str) -> None:
    _run([*within, "ip", "address", "add", f"{address}/30", "dev", link])
    _run([*within, "ip", "link", "set", link, "up"])


def _run(argv: Sequence[str]) -> None:
    result = subprocess.run(argv, capture_output=True, text=True, timeout=20, check=False)
    assert result.returncode == 0, result.stderr or argv
