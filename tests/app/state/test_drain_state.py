"""What a colour does, told from its order and its processes' reports."""

from __future__ import annotations

import pytest

from mina_ops.app.state.drain_state import State, colour_state


def report(state: str, order_id: str | None = "one") -> dict[str, str | None]:
    return {"state": state, "order_id": order_id}


@pytest.mark.parametrize(
    ("order", "reports", "state"),
    [
        (None, [report("drained")], State.SERVING),
        ("one", [report("drained"), report("drained")], State.DRAINED),
        ("one", [report("drained"), report("draining")], State.DRAINING),
        ("one", [report("drained"), report("drained", "an older one")], State.DRAINING),
        ("one", [report("drained"), {}], State.DRAINING),
        ("one", [], State.DRAINED),
    ],
)
def test_a_colour_is_drained_when_each_of_its_processes_is(
    order: str | None, reports: list[dict[str, str | None]], state: State
) -> None:
    assert colour_state(order, reports) is state
