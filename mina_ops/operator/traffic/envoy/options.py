"""The table `[traffic.envoy]` of mina-ops.toml."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mina_ops.operator.config.tables import Table
from mina_ops.operator.traffic import site
from mina_ops.operator.traffic.site import SiteOptions

_MOST_SESSIONS = 1_000_000


@dataclass(frozen=True, kw_only=True)
class EnvoyOptions(SiteOptions):
    """How one Envoy is set up.

    Attributes:
        admin: unix socket of Envoy's admin interface, for this user alone: who reaches it can
            stop Envoy.
        most_connections: connections of visitors that Envoy takes at once.
        program: Envoy itself, which tests a configuration before it is used.
    """

    admin: Path
    most_connections: int = 50_000
    program: str = "envoy"
    certificate: Path | None = None
    certificate_key: Path | None = None
    access_log: Path | None = None

    @property
    def bootstrap(self) -> Path:
        """What Envoy is started with (`envoy -c`)."""
        return self.state / "envoy.json"

    @property
    def site(self) -> Path:
        """The whole site as it was installed last."""
        return self.state / "site.json"

    @property
    def live(self) -> Path:
        """The folder that Envoy watches: clusters, routes, listeners, each replaced by a rename."""
        return self.state / "live"

    @property
    def binding(self) -> tuple[str, int]:
        """Address and port that Envoy binds."""
        host, _, port = self.listen.rpartition(":")
        return host.strip("[]").replace("*", "") or "0.0.0.0", int(port)  # noqa: S104


def read_options(table: Table) -> EnvoyOptions:
    """The options of the table.

    Raises:
        ConfigurationError: a key is unknown, missing, or not of the form that Envoy takes.
    """
    shared = site.read_site(table)
    options = EnvoyOptions(
        **shared,
        admin=site.plain(table, "admin", table.path("admin", shared["state"] / "admin.sock")),
        most_connections=table.integer("most_connections", 50_000, least=10, most=_MOST_SESSIONS),
        program=table.text("program", "envoy"),
        certificate=site.plain_or_none(table, "certificate"),
        certificate_key=site.plain_or_none(table, "certificate_key"),
        access_log=site.plain_or_none(table, "access_log"),
    )
    if (options.certificate is None) != (options.certificate_key is None):
        raise table.wrong("certificate", "give certificate and certificate_key, or neither.")
    table.done()
    return options
