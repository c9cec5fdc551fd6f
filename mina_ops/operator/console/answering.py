"""Finds an address at which the app's console answers."""

from __future__ import annotations

from mina_ops.errors import MinaOpsError
from mina_ops.operator.api.client import AppClient
from mina_ops.operator.config.settings import OperatorSettings


def first(settings: OperatorSettings, path: str) -> str | None:
    """The address of a console that answers: the public one first, then each colour's own."""
    places = {"the public address": settings.public_url}
    places |= {colour.name: colour.url for colour in settings.colours.values()}
    for name, url in places.items():
        try:
            with AppClient(name, url) as client:
                status, _, headers = client.exchange("GET", path)
        except MinaOpsError:
            continue
        if status == 200 and "X-Mina-Environment" in headers:
            return f"{url}{path}"
    return None
