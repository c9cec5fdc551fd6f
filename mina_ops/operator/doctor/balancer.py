"""The load balancer, and the address that users see."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import suppress
from urllib.parse import urlsplit

from mina_ops.errors import MinaOpsError
from mina_ops.operator.api.client import AppClient
from mina_ops.operator.config.settings import OperatorSettings
from mina_ops.operator.doctor import kept
from mina_ops.operator.doctor.findings import Finding, fault, ok, warning
from mina_ops.operator.traffic import open_driver

_CERTIFICATE_DAYS = 14
_SECONDS = 5.0
_DAY = 86_400
INSIDE = ("/metrics", "/api/metrics/errors", "/admin/drain", "/mina-ops/data")
"""An example of each group of paths that are for operators."""


def examine(settings: OperatorSettings) -> Iterator[Finding]:
    """What the driver finds, what the load balancer does, and who answers in public."""
    driver = open_driver(settings)
    problems = driver.check()
    for problem in problems:
        yield fault("balancer", problem, "mina-ops traffic install")
    shares = {}
    if not problems:
        reading = driver.read()
        shares = dict(reading.split.percent)
        proven = "" if reading.proven else " (as told; this platform cannot be asked)"
        yield ok("balancer", f"{settings.driver}: {reading.split.describe()}{proven}")
    yield from _public(settings, shares)
    yield from _open_paths(settings)
    if settings.driver in kept.KEEPING:
        yield from kept.examine(settings)
    if urlsplit(settings.public_url).scheme == "https":
        yield from _certificate(settings.public_url)


def _public(settings: OperatorSettings, shares: dict[str, int]) -> Iterator[Finding]:
    url = settings.public_url
    try:
        with AppClient("the public address", url) as client:
            status, _, headers = client.exchange("GET", "/api/health")
    except MinaOpsError as error:
        yield fault("public", str(error), f"curl -i {url}/api/health")
        return
    colour = headers.get("X-Mina-Environment")
    if colour is None or colour not in settings.colours:
        who = f"as {colour}" if colour else f"with {status} and without our headers"
        yield fault("public", f"{url} answers {who}", f"curl -i {url}/api/health")
    elif shares and not shares.get(colour):
        yield fault("public", f"{url} is answered by {colour}, which has 0 %", "mina-ops status")
    else:
        yield ok("public", f"{url} is answered by {colour}")


def _open_paths(settings: OperatorSettings) -> Iterator[Finding]:
    """Which operators' paths the public address lets through.

    It is asked from here: if this machine is in one of `inside_networks`, it may see more than a
    stranger does.
    """
    found = []
    with AppClient("the public address", settings.public_url) as client:
        for path in INSIDE:
            with suppress(MinaOpsError):
                if "X-Mina-Environment" in client.exchange("GET", path)[2]:
                    found.append(path)
    if found:
        yield warning(
            "public",
            f"{', '.join(found)} can be reached from here",
            "closed_paths and inside_networks of the balancer, see docs/security.md",
        )


def _certificate(url: str) -> Iterator[Finding]:
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or 443
    context = ssl.create_default_context()
    try:
        with (
            socket.create_connection((host, port), timeout=_SECONDS) as plain,
            context.wrap_socket(plain, server_hostname=host) as secure,
        ):
            found = secure.getpeercert() or {}
    except ssl.SSLCertVerificationError as error:
        yield fault("certificate", f"is not trusted: {error.verify_message}", "renew it")
        return
    except OSError as error:
        yield fault("certificate", f"cannot be read: {error.strerror or error}")
        return
    days = (ssl.cert_time_to_seconds(str(found.get("notAfter"))) - time.time()) / _DAY
    if days < _CERTIFICATE_DAYS:
        yield warning("certificate", f"ends in {days:.0f} days", "renew it")
    else:
        yield ok("certificate", f"trusted for {days:.0f} days more")
