"""All that `mina-ops doctor` looks at, in the order in which one would mend it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from mina_ops.errors import MinaOpsError
from mina_ops.operator.config.settings import OperatorSettings
from mina_ops.operator.doctor import addresses, balancer, releases, sockets, stores
from mina_ops.operator.doctor.findings import Finding, fault

Examiner = Callable[[OperatorSettings], Iterator[Finding]]

EXAMINERS: Mapping[str, Examiner] = {
    "app": addresses.examine,
    "sockets": sockets.examine,
    "stores": stores.examine,
    "balancer": balancer.examine,
    "releases": releases.examine,
}
"""Area, as one may name it on the command line -> what looks at it."""


def examine(settings: OperatorSettings, names: tuple[str, ...]) -> Iterator[Finding]:
    """The findings, each as soon as it is known; an area that cannot be looked at is one itself.

    Args:
        names: of `EXAMINERS`; others are not looked at.
    """
    for name, examiner in EXAMINERS.items():
        if name not in names:
            continue
        try:
            yield from examiner(settings)
        except MinaOpsError as error:
            yield fault(name, str(error))
