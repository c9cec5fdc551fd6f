"""Lets testers reach a colour before it has visitors, by a signed value that only they know.

The value is a signature of the colour's name under a secret of the site. The load balancer
compares it with the two that it was rendered with, so that a new secret (and `install`) takes the
old values back.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from mina_ops.errors import ConfigurationError
from mina_ops.operator.config.tables import Table

COOKIE = "mina_tester"
_LEAST_CHARACTERS = 16


@dataclass(frozen=True)
class TesterSecret:
    """Where the secret is: in a file, or in a variable. Read when a configuration is rendered,
    so that one that is missing keeps no traffic from moving."""

    file: Path | None
    variable: str | None

    def values(self, colours: Iterable[str]) -> Mapping[str, str]:
        """Colour -> the value that sends a tester there; {} where no secret is set up.

        Raises:
            ConfigurationError: the file cannot be read, or the secret is too short.
        """
        if self.file is None and self.variable is None:
            return {}
        key = self._secret().encode()
        return {
            colour: hmac.new(key, f"mina-tester:{colour}".encode(), hashlib.sha256).hexdigest()
            for colour in colours
        }

    def _secret(self) -> str:
        try:
            text = (
                os.environ.get(self.variable or "", "") if self.file is None else _read(self.file)
            )
        except OSError as exc:
            raise ConfigurationError(
                f"tester_secret_file: {self.file} cannot be read: {exc.strerror}."
            ) from exc
        if len(text.strip()) < _LEAST_CHARACTERS:
            raise ConfigurationError(
                f"tester_secret: {self.file or self.variable} holds no secret of "
                f"{_LEAST_CHARACTERS} characters or more."
            )
        return text.strip()


def read_secret(table: Table) -> TesterSecret:
    """The secret that a load balancer's table names, whatever else is wrong with the table."""
    variable = table.text("tester_secret_env", None)
    return TesterSecret(table.path("tester_secret_file", None), variable)


def _read(file: Path) -> str:
    return file.read_text(encoding="utf-8")
