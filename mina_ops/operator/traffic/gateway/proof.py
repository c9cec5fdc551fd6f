"""What the Gateway really serves, asked at its public address as any visitor would."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from mina_ops.errors import OperatorError, TrafficError
from mina_ops.operator.api.client import AppClient
from mina_ops.operator.traffic.gateway.route import proof_of
from mina_ops.operator.traffic.gateway.rules import PROOF_DOMAIN

# A Gateway may be several processes; each question is a new connection, which may meet another.
_IN_A_ROW = 3


class Proof:
    """Asks whether a route is served.

    Args:
        url: where the Gateway answers.
        public_url: the site's address, whose host is asked for.
    """

    def __init__(self, url: str, public_url: str) -> None:
        self.url = url
        self._host = urlsplit(public_url).netloc

    def serves(self, route: Mapping[str, Any]) -> bool:
        """Whether the Gateway serves just this route, three times in a row.

        Raises:
            TrafficError: nobody answers.
        """
        proof = proof_of(route)
        return proof is not None and all(self._ask(proof[0]) == proof[1] for _ in range(_IN_A_ROW))

    def _ask(self, path: str) -> str | None:
        """The fingerprint of the route that is served; None: none of ours."""
        try:
            with AppClient("The Gateway", self.url) as client:
                headers = {"Host": self._host, "Connection": "close"}
                status, _, answer = client.exchange("GET", path, headers=headers)
        except OperatorError as exc:
            raise TrafficError(
                f"{exc} The Gateway does not answer for the site: start it, or set "
                "traffic.gateway.ask to where it does."
            ) from exc
        host = urlsplit(answer.get("Location", "")).hostname or ""
        if status != 302 or not host.endswith(PROOF_DOMAIN):
            return None
        return host.removesuffix(PROOF_DOMAIN)
