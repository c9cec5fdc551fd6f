"""The table `[traffic.gateway]` of mina-ops.toml."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from mina_ops.fields import (
    FLAG,
    PATH,
    TEXT,
    TEXT_OR_NONE,
    TEXTS,
    WHOLE,
    Form,
    declared,
    needed,
    setting,
)
from mina_ops.operator.config import colours
from mina_ops.operator.config.tables import Table
from mina_ops.operator.traffic import site
from mina_ops.operator.traffic.site import MirroringOptions, VisitorOptions

_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_OBJECT = re.compile(rf"{_LABEL}(\.{_LABEL})*")
_HOST = re.compile(rf"(\*\.)?{_LABEL}(\.{_LABEL})*")
_PLACES = ("{colour}", "{instance}")
_NAMED = Form(_OBJECT.fullmatch, "look like 'mina'")


def _is_pattern(text: str) -> bool:
    for place in _PLACES:
        text = text.replace(place, "x")
    return bool(_OBJECT.fullmatch(text))


_PATTERN = Form(_is_pattern, "look like 'mina-{colour}'")


@dataclass(frozen=True, kw_only=True)
class GatewayOptions(VisitorOptions):
    """How one site is routed by a Gateway."""

    gateway: str = needed(TEXT, "name of the Gateway that the site's route belongs to", form=_NAMED)
    gateway_namespace: str | None = setting(
        None, TEXT_OR_NONE, "its namespace", shown="`namespace`", form=_NAMED
    )
    listener: str | None = setting(
        None, TEXT_OR_NONE, "one listener of it (`sectionName`)", shown="all", form=_NAMED
    )
    route: str = setting(
        "mina",
        TEXT,
        "name of the HTTPRoute with the split; beside it lies one for sessions, `<route>-sessions`",
        form=_NAMED,
    )
    hostnames: tuple[str, ...] = setting(
        (),
        TEXTS,
        "hosts that the routes are for",
        shown="the listener's",
        form=Form(_HOST.fullmatch, "look like 'mina.example'"),
    )
    service: str = setting(
        "mina-{colour}", TEXT, "name of a colour's Service, for new visitors", form=_PATTERN
    )
    session_service: str | None = setting(
        None,
        TEXT_OR_NONE,
        "name of the Service that live sessions are sent to: of a colour, or with `{instance}` of "
        "each instance; it should publish pods that are not ready, or a drain cuts sessions",
        shown="`service`",
        form=_PATTERN,
    )
    polling: bool = setting(
        True,
        FLAG,
        "whether clients may poll; then each instance needs a Service of its own, and `check` says "
        "so",
    )
    port: int = setting(80, WHOLE, "port of these Services", least=1, most=65_535)
    ask: str | None = setting(
        None,
        TEXT_OR_NONE,
        "address of the Gateway as this machine reaches it, asked what it really serves",
        shown="`public.url`",
    )
    kubeconfig: Path | None = setting(
        None,
        PATH,
        "how to reach the API server",
        shown="`KUBECONFIG`, else the pod's own account, else `~/.kube/config`",
    )
    context: str | None = setting(
        None, TEXT_OR_NONE, "context of the kubeconfig", shown="its current one"
    )
    account: Path = setting(
        Path("/var/run/secrets/kubernetes.io/serviceaccount"),
        PATH,
        "folder with `token`, `ca.crt` and `namespace` of the pod's own account, for a token that "
        "is projected elsewhere; the token is read for each request, since the kubelet replaces it",
    )
    namespace: str | None = setting(
        None,
        TEXT_OR_NONE,
        "namespace of routes and Services",
        shown="the context's, or the pod's",
        form=_NAMED,
    )

    @property
    def sessions_route(self) -> str:
        """Name of the HTTPRoute that brings live sessions to where they are."""
        return f"{self.route}-sessions"

    @property
    def by_instance(self) -> bool:
        """Whether each instance has a Service of its own."""
        return "{instance}" in (self.session_service or "")

    def service_of(self, colour: str) -> str:
        """The Service of a colour's new visitors."""
        return self.service.replace("{colour}", _as_object(colour))

    def sessions_of(self, colour: str, instance: str) -> str:
        """The Service to which a session of that instance is sent."""
        pattern = self.session_service or self.service
        name = pattern.replace("{colour}", _as_object(colour))
        return name.replace("{instance}", _as_object(instance))


def read_options(table: Table) -> GatewayOptions:
    """The options of the table.

    Raises:
        ConfigurationError: a key is unknown, missing, or not of the form that it must have.
    """
    for key in (spec.name for spec, _ in declared(MirroringOptions)):
        if key in table and key not in GatewayOptions.__dataclass_fields__:
            raise table.wrong(key, "an HTTPRoute cannot do that; see docs/engines.md.")
    if "ask" in table:
        colours.read_url(table, "ask")
    options = site.fill(table, GatewayOptions)
    if "{colour}" not in options.service:
        raise table.wrong("service", "must hold {colour}, as 'mina-{colour}'.")
    if options.session_service is not None and "{colour}" not in options.session_service:
        raise table.wrong("session_service", "must hold {colour}, as 'mina-{colour}-sessions'.")
    return options


def _as_object(name: str) -> str:
    """A colour's or an instance's name as Kubernetes takes it for objects."""
    return name.lower().replace("_", "-")
