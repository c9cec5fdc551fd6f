"""What `mina-ops init` is told of a site, by options or answers; checked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from mina_ops.errors import ConfigurationError

WORKERS: Mapping[str, str] = {
    "gthread": "-k gthread --threads 100",
    "gevent": "-k gevent",
}
"""gunicorn's arguments for each worker class; Socket.IO needs one process for each instance."""

_APP = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*(\(\))?")
_PRODUCT = re.compile(r"[a-z][a-z0-9-]{0,31}")
_PLAIN = re.compile(r"[^\x00-\x1f\x7f\"'\\$]+")


@dataclass(frozen=True, kw_only=True)
class SetupOptions:
    """A site to be set up; refuses what cannot be used when it is made.

    Attributes:
        folder: where the files go.
        app: what gunicorn imports, as "app:app" or "shop.web:create_app()".
        product: names units and files.
        public_url: the address that users see.
        balancer: `nginx`, `haproxy` or `envoy`.
        processes: `systemd` units, or a `procfile`.
        worker: a key of `WORKERS`.
        instances: processes of each colour.
        blue_port, green_port: the port of the first instance; the others have the next ones.
        redis_url: the Redis that both colours share.
        token_name: who the audit log says it was, whoever uses the operator's token.
        state: folder of the load balancer's files.
        certificate, certificate_key: files for https; HAProxy has both in one.
        scripts: whether the playbook's scripts are wanted too.
    """

    folder: Path
    app: str = "app:app"
    product: str = "mina"
    public_url: str = "http://127.0.0.1:8080"
    balancer: str = "nginx"
    processes: str = "systemd"
    worker: str = "gthread"
    instances: int = 2
    blue_port: int = 5001
    green_port: int = 6001
    redis_url: str = "redis://127.0.0.1:6379/0"
    token_name: str = "ops"  # noqa: S105 - a name
    state: Path = Path("/var/lib/mina-ops")
    certificate: Path | None = None
    certificate_key: Path | None = None
    scripts: bool = False

    def __post_init__(self) -> None:
        """Check every answer.

        Raises:
            ConfigurationError: one cannot be used; names its option.
        """
        _match("--app", self.app, _APP, "as app:app or 'shop.web:create_app()'")
        _match("--product", self.product, _PRODUCT, "as mina: small letters, digits and '-'")
        _match("--token-name", self.token_name, _PRODUCT, "as ops: small letters, digits and '-'")
        for option, text in (("--redis", self.redis_url), ("--public", self.public_url)):
            _match(option, text, _PLAIN, "without quotes, '$' and line breaks")
        parts = self._public_parts()
        if parts.scheme == "https" and self.balancer != "haproxy" and not self._both_certificates():
            raise ConfigurationError(
                "--public is https: give --certificate and --certificate-key, or the http address "
                "behind whatever ends TLS for you."
            )
        self._refuse_shared_ports()

    def ports(self, colour: str) -> list[int]:
        """The port of each instance."""
        first = self.blue_port if colour == "blue" else self.green_port
        return list(range(first, first + self.instances))

    @property
    def listen(self) -> str:
        """The load balancer's port."""
        parts = urlsplit(self.public_url)
        return str(parts.port or (443 if parts.scheme == "https" else 80))

    @property
    def host(self) -> str:
        """The public host name; "_", which is any, for an IPv6 address."""
        host = urlsplit(self.public_url).hostname or "_"
        return "_" if ":" in host else host

    def _public_parts(self) -> SplitResult:
        try:
            parts = urlsplit(self.public_url)
            # A port that is no number, or too large, is found when it is read.
            usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        except ValueError:
            usable = False
        if not usable:
            raise ConfigurationError(
                f"--public: {self.public_url!r} must be an address such as https://mina.example.com"
            )
        return parts

    def _both_certificates(self) -> bool:
        return self.certificate is not None and self.certificate_key is not None

    def _refuse_shared_ports(self) -> None:
        shared = {*self.ports("blue")} & {*self.ports("green")}
        shared |= {int(self.listen)} & {*self.ports("blue"), *self.ports("green")}
        if shared:
            raise ConfigurationError(
                f"Port {min(shared)} would be used twice; give --blue-port and --green-port apart."
            )
        if max(*self.ports("blue"), *self.ports("green")) > 65_535:
            raise ConfigurationError("A port is at most 65535; give a lower --blue-port.")


def _match(option: str, text: str, pattern: re.Pattern[str], right: str) -> None:
    if not pattern.fullmatch(text):
        raise ConfigurationError(f"{option}: {text!r} cannot be used; give it {right}.")
