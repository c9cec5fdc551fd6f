"""What `mina-ops preflight` and `mina-ops postflight` share: tick off, check, and show the list."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mina_ops.cli import output

if TYPE_CHECKING:
    from mina_ops.operator.checklist.model import Item
    from mina_ops.operator.checklist.ticks import Ticks


def show(heading: str, items: Sequence[Item], ticked: Ticks, done: Sequence[str]) -> bool:
    """Tick off the items that are `done`, check all and print the list; whether it is passed.

    Raises:
        ConfigurationError: there is no such item, or the file of ticks is damaged.
    """
    from mina_ops.operator.checklist.model import go_through
    from mina_ops.operator.system.people import whoami

    if done:
        ticked.tick(done, items, datetime.now(UTC), whoami())
    found = go_through(heading, items, ticked.read())
    output.data(found.to_json(), found.to_text())
    return found.passed
