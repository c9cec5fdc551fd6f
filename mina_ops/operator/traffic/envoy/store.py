"""The files that Envoy watches: each written aside, made durable, then put in place by a rename."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

from mina_ops import files
from mina_ops.errors import TrafficError
from mina_ops.operator.traffic.envoy import configuration, routes
from mina_ops.operator.traffic.envoy.options import EnvoyOptions
from mina_ops.operator.traffic.model import Split

_READABLE = 0o644
_FOLDER = 0o755


class EnvoyStore:
    """The watched files of one Envoy on this host.

    Every method that writes raises TrafficError if that is not possible; what stood there stays.
    """

    def __init__(self, options: EnvoyOptions, colours: tuple[str, str]) -> None:
        self._options = options
        self._colours = colours
        self._routes = options.live / "routes.json"

    def current(self) -> tuple[Split, int] | None:
        """The split and its generation as they lie there; None before the first one.

        Raises:
            TrafficError: what lies there is no split.
        """
        document = self._document()
        if document is None:
            return None
        with suppress(KeyError, IndexError, TypeError):
            return routes.from_data(routes.data_of(document["resources"][0]), self._colours)
        raise self._broken()

    def write(self, split: Split, generation: int) -> None:
        """Replace the split, and nothing else of the routes."""
        document = self._document()
        if document is None:
            raise self._broken()
        try:
            text = configuration.with_split(document, split, generation)
        except (KeyError, IndexError, TypeError) as exc:
            raise self._broken() from exc
        self._write("routes", text)

    def publish(self) -> str:
        """Put the installed site in place, with the split that lies there, or a first one.

        Returns:
            What the split is.
        """
        site = json.loads(self._options.site.read_text(encoding="utf-8"))
        first = Split.all_to(self._colours[0], self._colours), 1
        split, generation = self.current() or first
        if self._options.certificate is not None:
            self._write("certificate", configuration.certificate_file(self._options))
        for name, text in configuration.files(site, split, generation).items():
            self._write(name, text)
        return split.describe()

    def _document(self) -> dict[str, Any] | None:
        try:
            found = json.loads(self._routes.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as exc:
            raise self._broken() from exc
        if not isinstance(found, dict):
            raise self._broken()
        return found

    def _write(self, name: str, text: str) -> None:
        try:
            files.make_folder(self._options.live, _FOLDER)
            files.write(self._options.live / f"{name}.json", text, _READABLE)
        except files.NotWritten as exc:
            raise TrafficError(f"{exc} Traffic is as it was.") from exc

    def _broken(self) -> TrafficError:
        return TrafficError(
            f"{self._routes} cannot be read as a split; put it right, or remove it and run "
            "`mina-ops traffic install`."
        )
