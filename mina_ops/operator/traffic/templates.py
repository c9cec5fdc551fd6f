"""The load balancers' configurations, made from the templates in `nginx/`."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mina_ops import shipped
from mina_ops.operator.config.settings import OperatorSettings
from mina_ops.operator.traffic.model import RELEASE_PATTERN, USER_ID_PATTERN
from mina_ops.operator.traffic.site import SiteOptions

if TYPE_CHECKING:
    from jinja2 import Environment

# nginx and HAProxy can pass a request on after this status, and no app of ours uses it otherwise.
DRAIN_STATUS = 504
_UNKNOWN_YET = "fingerprint-goes-here"


@dataclass(frozen=True)
class Rendering:
    """A configuration, and the fingerprint that the load balancer reports once it serves it."""

    text: str
    fingerprint: str


def render(
    template: str, settings: OperatorSettings, options: SiteOptions, more: Mapping[str, Any]
) -> Rendering:
    """A template filled in for these colours and options; the same input gives the same bytes.

    Args:
        more: further names for the template.
    """
    text = fill(template, settings, options, {"fingerprint": _UNKNOWN_YET, **more})
    fingerprint = fingerprint_of(text)
    return Rendering(text.replace(_UNKNOWN_YET, fingerprint), fingerprint)


def fingerprint_of(text: str) -> str:
    """16 hexadecimal digits that differ for different configurations."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def fill(
    template: str, settings: OperatorSettings, options: SiteOptions, more: Mapping[str, Any]
) -> str:
    """The text of a template for these colours and options."""
    first, second = settings.colours.values()
    colours = [
        {"name": colour.name, "instances": colour.instances, "other": other}
        for colour, other in ((first, second), (second, first))
    ]
    values = {
        "colours": colours,
        "first": first,
        "second": second,
        "options": options,
        "user_id_pattern": USER_ID_PATTERN,
        "release_pattern": RELEASE_PATTERN,
        "socketio_pattern": "^" + re.escape(options.socketio_path.rstrip("/") + "/"),
        "testers": options.tester_secret.values(settings.colours),
        "drain_status": DRAIN_STATUS,
        **more,
    }
    return str(_environment().get_template(template).render(values))


def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    # The output is no HTML: every value that gets in was checked against the form it must have.
    return Environment(  # noqa: S701
        loader=FileSystemLoader(shipped.folder("nginx")),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
