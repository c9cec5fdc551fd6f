"""Names this process: its colour, release and instance."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from urllib.parse import quote

from mina_ops.app.settings import Settings


@dataclass(frozen=True)
class Identity:
    """Names of one app in one process, as its peers and clients are told them.

    Attributes:
        environment: its colour.
        version: the release that it runs.
        instance: its instance within the colour.
        colours: every colour of the site, its own among them.
        token: tells two apps of one process apart, such as those of a test suite.
    """

    environment: str
    version: str
    instance: str
    colours: tuple[str, ...]
    token: str = field(default_factory=lambda: secrets.token_hex(3))

    @classmethod
    def of(cls, settings: Settings) -> Identity:
        """The identity that an app's settings give it."""
        colours = tuple(dict.fromkeys((*settings.colours, settings.environment)))
        return cls(settings.environment, settings.version, settings.instance, colours)

    @cached_property
    def headers(self) -> Mapping[str, str]:
        """The headers that name colour and release in every answer of ours."""
        return {"X-Mina-Environment": self.environment, "X-Mina-Version": _header(self.version)}

    @property
    def process_id(self) -> str:
        """Names this app among all of its colour: host, instance, pid (a fork has its own)."""
        return f"{socket.gethostname()}:{self.instance}:{os.getpid()}:{self.token}"


def _header(text: str) -> str:
    """The text as a header may hold it: what is not printable ASCII is percent-encoded.

    The dash of a release that somebody typed as "v2.5\u20131" would else break every answer.
    """
    return quote(text, safe="".join(chr(code) for code in range(32, 127)))
