"""The table `[traffic.envoy]` of mina-ops.toml."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mina_ops.fields import PATH, TEXT, WHOLE, setting
from mina_ops.operator.config.tables import Table
from mina_ops.operator.traffic import site
from mina_ops.operator.traffic.site import PLAIN, MirroringOptions


@dataclass(frozen=True, kw_only=True)
class EnvoyOptions(MirroringOptions):
    """How one Envoy is set up."""

    admin: Path = setting(
        None,
        PATH,
        "unix socket of Envoy's admin interface, for the user alone who runs Envoy: who reaches it "
        "can stop Envoy",
        shown="`<state>/admin.sock`",
        form=PLAIN,
    )
    most_connections: int = setting(
        50_000,
        WHOLE,
        "connections of visitors that Envoy takes at once",
        least=10,
        most=1_000_000,
    )
    program: str = setting(
        "envoy", TEXT, "tests a configuration before it is used (`envoy --mode validate`)"
    )
    certificate: Path | None = setting(
        None,
        PATH,
        "TLS, with the next one; renewed by renaming the new files into their place",
        form=PLAIN,
    )
    certificate_key: Path | None = setting(None, PATH, "the certificate's key", form=PLAIN)
    access_log: Path | None = setting(None, PATH, "a file, in the combined format", form=PLAIN)

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
    options = site.fill(table, EnvoyOptions, **site.in_state(table, "admin", "admin.sock"))
    site.require_both(table, options.certificate, options.certificate_key)
    return options
