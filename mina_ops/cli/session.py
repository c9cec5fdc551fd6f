"""What every command needs: the settings, read when first asked for, and clients made of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from mina_ops.operator.api.client import AppClient
    from mina_ops.operator.api.flags import FlagsClient
    from mina_ops.operator.config.settings import OperatorSettings
    from mina_ops.operator.traffic.base import TrafficDriver


@dataclass
class Session:
    """One run of the command; its parts raise ConfigurationError when the file cannot be used."""

    config_path: str | None = None

    @cached_property
    def settings(self) -> OperatorSettings:
        """The settings of the file that was named or found."""
        from mina_ops.operator.config import settings

        return settings.load(settings.find(self.config_path))

    @cached_property
    def driver(self) -> TrafficDriver:
        """The load balancer's driver."""
        from mina_ops.operator.traffic import open_driver

        return open_driver(self.settings)

    def for_the_way_back(self, say: Callable[[str], None]) -> Session:
        """A session for a command that must work although a part of mina-ops.toml is wrong.

        Its settings are those tables that can be read; `say` is told of the others.
        """
        from mina_ops.operator.config import damaged, settings

        session = Session(self.config_path)
        found = damaged.load(settings.find(self.config_path), say)
        # A cached property is an attribute once it is known.
        session.__dict__["settings"] = found
        return session

    def flags(self, colour: str | None = None) -> FlagsClient:
        """A client for the flags, which any colour serves; None: the first that answers."""
        from mina_ops.operator.api.flags import open_client

        return open_client(self.settings, colour)

    def client(self, colour: str) -> AppClient:
        """A client for a colour by name or alias, with the operator's token."""
        from mina_ops.operator.api.client import AppClient

        found = self.settings.colour(colour)
        return AppClient(found.name, found.url, token=self.settings.token())
