"""Asks every colour and instance whether it answers, and whether it is the one it should be."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Any

from mina_ops.errors import AccessDenied, MinaOpsError
from mina_ops.operator.api.client import AppClient
from mina_ops.operator.config.colours import Colour
from mina_ops.operator.config.settings import OperatorSettings
from mina_ops.operator.doctor.findings import Finding, fault, ok, unknown, warning

_CLOCK_SECONDS = 5.0
_OK = 200
_VERBOSE = "/api/health?verbose=1"


def examine(settings: OperatorSettings) -> Iterator[Finding]:
    """Every address of the file, then the token at each colour."""
    token = settings.token()
    for colour in settings.colours.values():
        yield from _colour(colour, token)
    yield from _token(settings, token)
    if token is not None:
        for colour in settings.colours.values():
            yield from _clashes(colour, token)


def _colour(colour: Colour, token: str | None) -> Iterator[Finding]:
    versions = set()
    addresses = {colour.name: colour.url}
    addresses |= {f"{colour.name} {name}": url for name, url in colour.processes.items()}
    for name, url in addresses.items():
        try:
            with AppClient(name, url, token=token) as client:
                status, body, headers = client.exchange("GET", _VERBOSE, admin=token is not None)
        except MinaOpsError as error:
            yield fault(name, str(error), f"curl -i {url}/api/health")
            continue
        if not isinstance(body, Mapping) or "X-Mina-Environment" not in headers:
            yield fault(
                name,
                f"{url} answers {status}, but not as an app with mina_ops in it",
                f"curl -i {url}/api/health",
            )
            continue
        versions.add(str(body.get("version")))
        yield from _identity(name, colour, url, body)
        yield from _clock(name, headers.get("Date"))
    if len(versions) > 1:
        yield warning(
            colour.name, f"runs {' and '.join(sorted(versions))} at once", "restart the older ones"
        )
    if colour.version and versions and colour.version not in versions:
        yield warning(
            colour.name,
            f"runs {', '.join(sorted(versions))}; the file says {colour.version}",
            f"correct colours.{colour.name}.version, or leave it out",
        )


def _clashes(colour: Colour, token: str) -> Iterator[Finding]:
    """Paths of mina_ops for which the app has routes of its own."""
    try:
        with AppClient(colour.name, colour.url, token=token) as client:
            status, body = client.request("GET", "/admin/clashes", admin=True)
    except MinaOpsError:
        return  # said above
    found = body.get("clashes") if isinstance(body, Mapping) and status == _OK else None
    for clash in found or ():
        yield warning(
            colour.name,
            f"{clash['path']} is the app's own route {clash['endpoint']}, too; requests without a "
            f"token get {'the app' if clash['answered_by'] == 'host' else 'mina_ops'}",
            "move the app's route, or see docs/http-api.md (clashes)",
        )


def _identity(name: str, colour: Colour, url: str, body: Mapping[str, Any]) -> Iterator[Finding]:
    said = str(body.get("environment"))
    if said != colour.name:
        yield fault(
            name,
            f"{url} is {said}, not {colour.name}: traffic and drains would meet the wrong one",
            f"set ENVIRONMENT={colour.name} there, or correct the address in the file",
        )
        return
    wanted = name.partition(" ")[2]
    if wanted and body.get("instance") not in (None, wanted):
        yield fault(
            name,
            f"{url} calls itself instance {body['instance']}: its session ids lead elsewhere",
            f"set MINA_OPS_INSTANCE={wanted} there",
        )
        return
    failing = [
        f"{check} {found.get('error', 'fails')}"
        for check, found in (body.get("checks") or {}).items()
        if isinstance(found, Mapping) and found.get("status") not in ("healthy", "disabled")
    ]
    if failing:
        yield fault(
            name, f"{body.get('version')} at {url}: {', '.join(failing)}", f"curl {url}{_VERBOSE}"
        )
        return
    yield ok(name, f"{body.get('version')} at {url}, {body.get('status')}")


def _clock(name: str, date: str | None) -> Iterator[Finding]:
    if date is None:
        return
    try:
        apart = parsedate_to_datetime(date).timestamp() - time.time()
    except ValueError:
        return
    if abs(apart) > _CLOCK_SECONDS:
        yield warning(
            name, f"its clock is {apart:+.0f} s from this machine's", "timedatectl set-ntp true"
        )


def _token(settings: OperatorSettings, token: str | None) -> Iterator[Finding]:
    if token is None:
        yield fault(
            "token",
            f"neither {settings.token_variable} nor token.file holds a token",
            "mina-ops token new ops",
        )
        return
    file = settings.token_file
    if file is not None and file.exists() and file.stat().st_mode & 0o077:
        yield warning("token", f"{file} can be read by others", f"chmod 600 {file}")
    for colour in settings.colours.values():
        try:
            with AppClient(colour.name, colour.url, token=token) as client:
                client.drain_status()
        except AccessDenied as error:
            yield fault("token", str(error), "give both colours the same MINA_OPS_ADMIN_TOKENS")
        except MinaOpsError:
            yield unknown("token", f"{colour.name} did not answer, so it was not asked")
        else:
            yield ok("token", f"{colour.name} takes it")
