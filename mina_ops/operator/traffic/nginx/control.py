"""What nginx says it does, asked over its loopback control address."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from urllib.parse import quote

from mina_ops.errors import TrafficError
from mina_ops.operator.system.patience import patient
from mina_ops.waiting import wait_until

_ANSWER_SECONDS = 2.0
_POLL_SECONDS = 0.005


class NginxControl:
    """The control server of one nginx; each question is a request of its own."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port

    @property
    def address(self) -> str:
        """Host and port, for messages."""
        return f"{self._host}:{self._port}"

    def loaded(self) -> str | None:
        """Fingerprint of the configuration that is loaded; None if no nginx of ours is there."""
        try:
            return self.fingerprint()
        except TrafficError:
            return None

    def fingerprint(self) -> str:
        """Fingerprint of the configuration that is loaded."""
        return str(self._get("/configuration")["fingerprint"])

    def split(self) -> dict[str, Any]:
        """split.json as a worker reads it through the `current` link."""
        value = self._get("/split/split.json")
        if not isinstance(value, dict) or "generation" not in value:
            raise TrafficError(f"nginx at {self.address} serves a split.json that is no split.")
        return value

    def generation(self) -> int:
        """Generation of the split that is served."""
        return int(self.split()["generation"])

    def names(self, *directory: str) -> set[str]:
        """The files that a worker sees in a directory of the split; empty without a directory."""
        path = "/split/" + "".join(f"{quote(part)}/" for part in directory)
        listing = self._get(path, missing=[])
        return {str(entry["name"]) for entry in listing if entry["type"] == "file"}

    def mirrors(self) -> bool:
        """Whether the time of a mirror is not over."""
        return bool(self._get("/mirroring"))

    def route(self, *, key: str = "", user: tuple[str, str] | None = None) -> dict[str, Any]:
        """What nginx decides for a visitor: `colour`, `bucket`, `socketio` (the upstream).

        Args:
            key: value of the sticky cookie, as "name=value"; "": a first visit.
            user: header (or "Cookie") and value that carry the user id.
        """
        headers = {"Cookie": key} if key else {}
        if user:
            headers[user[0]] = "; ".join(filter(None, (headers.get(user[0], ""), user[1])))
        value: dict[str, Any] = self._get("/route", headers)
        return value

    def wait_for(self, holds: Callable[[], bool], seconds: float) -> bool:
        """Whether `holds` came true within `seconds`; an nginx that is silent is "not yet"."""

        def look() -> bool:
            with suppress(TrafficError):
                return holds()
            return False

        return wait_until(look, seconds, pause=_POLL_SECONDS)

    def _get(self, path: str, headers: dict[str, str] | None = None, missing: Any = None) -> Any:
        connection = http.client.HTTPConnection(
            self._host, self._port, timeout=patient(_ANSWER_SECONDS)
        )
        try:
            connection.request("GET", path, headers=headers or {})
            response = connection.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException) as exc:
            raise TrafficError(
                f"nginx does not answer at its control address {self.address}. Is it running, "
                "with the file of `mina-ops traffic install` included?"
            ) from exc
        finally:
            connection.close()
        if response.status == http.client.NOT_FOUND and missing is not None:
            return missing
        if response.status != http.client.OK:
            raise TrafficError(
                f"nginx at {self.address} answers {response.status} for {path}. Can its workers "
                "read the state folder? Run `mina-ops traffic check`."
            )
        try:
            return json.loads(body)
        except ValueError as exc:
            raise TrafficError(
                f"What answers at {self.address} is not the control address of our nginx."
            ) from exc
