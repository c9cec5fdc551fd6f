"""One HAProxy's runtime API: its map, replaced as a whole, and which configuration it runs.

Source: HAProxy management guide, section 9.3: prepare map, add map, commit map, show map.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path

from mina_ops.errors import TrafficError
from mina_ops.operator.system.patience import patient
from mina_ops.operator.traffic.haproxy.options import Endpoint

_ANSWER_SECONDS = 2.0
# A command and its payload must fit into tune.bufsize, 16 kB unless it was changed.
_PAYLOAD_BYTES = 8000
_MOST_ANSWER_BYTES = 16_000_000
_DESCRIPTION = re.compile(r"^description: mina-ops-(\w+)$", re.MULTILINE | re.IGNORECASE)


class HaproxyRuntime:
    """The admin socket of one HAProxy; each command is a connection of its own."""

    def __init__(self, endpoint: Endpoint, map_file: Path) -> None:
        self.endpoint = endpoint
        self._map = map_file

    def loaded(self) -> str | None:
        """Fingerprint of the configuration that runs; None if no HAProxy of ours is there."""
        try:
            found = _DESCRIPTION.search(self.command("show info"))
        except TrafficError:
            return None
        return found[1] if found else None

    def most_connections(self) -> int | None:
        """Connections of visitors that it takes at once; None where it does not say."""
        found = re.search(r"^Maxconn: (\d+)$", self.command("show info"), re.MULTILINE)
        return int(found[1]) if found else None

    def entries(self) -> dict[str, str]:
        """The map that decides about requests now: key -> value.

        Raises:
            TrafficError: HAProxy does not answer, or has no such map.
        """
        answer = self.command(f"show map {self._map}")
        lines = [line.split(" ", 2) for line in answer.splitlines() if line.startswith("0x")]
        found = {key: value for _, key, value in (line for line in lines if len(line) == 3)}
        if ".generation" not in found:
            raise TrafficError(
                f"HAProxy {self.endpoint.name} at {self.endpoint.socket} has no split in "
                f"{self._map}. Run `mina-ops traffic install`."
            )
        return found

    def replace(self, entries: Mapping[str, str]) -> None:
        """Put these entries in the place of all that were there, at one instant.

        Raises:
            TrafficError: HAProxy refused; the earlier entries still decide.
        """
        answer = self.command(f"prepare map {self._map}")
        version = re.search(r"New version created: (\d+)", answer)
        if not version:
            raise self._refused(answer)
        for payload in _payloads(entries):
            answer = self.command(f"add map @{version[1]} {self._map} <<\n{payload}\n")
            if answer.strip():
                raise self._refused(answer)
        answer = self.command(f"commit map @{version[1]} {self._map}")
        if answer.strip():
            raise self._refused(answer)

    def command(self, line: str) -> str:
        """The answer to one command.

        Raises:
            TrafficError: nothing answers at the socket.
        """
        try:
            with _connect(self.endpoint.socket) as link:
                link.settimeout(patient(_ANSWER_SECONDS))
                link.sendall(f"{line}\n".encode())
                return _read(link)
        except OSError as exc:
            reason = exc.strerror or "no answer in time"
            raise TrafficError(
                f"HAProxy {self.endpoint.name} does not answer at {self.endpoint.socket} "
                f"({reason}). Is it running, with the configuration of `mina-ops traffic install`?"
            ) from exc

    def _refused(self, answer: str) -> TrafficError:
        first = answer.strip().splitlines()[0] if answer.strip() else "no answer"
        return TrafficError(
            f"HAProxy {self.endpoint.name} does not take a map: {first} It must be 2.6 or newer, "
            f"with the map {self._map}; run `mina-ops traffic check`."
        )


def _payloads(entries: Mapping[str, str]) -> Iterator[str]:
    batch: list[str] = []
    size = 0
    for key, value in entries.items():
        line = f"{key} {value}"
        if batch and size + len(line) + 1 > _PAYLOAD_BYTES:
            yield "\n".join(batch)
            batch, size = [], 0
        batch.append(line)
        size += len(line) + 1
    yield "\n".join(batch)


def _connect(address: str) -> socket.socket:
    if address.startswith("/"):
        link = socket.socket(socket.AF_UNIX)
        link.settimeout(patient(_ANSWER_SECONDS))
        try:
            link.connect(address)
        except OSError:
            link.close()
            raise
        return link
    host, _, port = address.rpartition(":")
    return socket.create_connection((host.strip("[]"), int(port)), timeout=patient(_ANSWER_SECONDS))


def _read(link: socket.socket) -> str:
    data = bytearray()
    while chunk := link.recv(65536):
        data += chunk
        if len(data) > _MOST_ANSWER_BYTES:
            break
    return data.decode(errors="replace")
