from __future__ import annotations

import pytest

from mina_ops.app.metrics import clients


@pytest.mark.parametrize(
    ("number", "least", "most"), [(0, 0, 0), (1, 1, 1), (10, 9, 11), (100, 85, 115)]
)
def test_clients_are_counted_however_often_each_tries(number: int, least: int, most: int) -> None:
    amounts: dict[str, float] = {}
    for one in range(number):
        amounts[clients.place(f"198.51.100.{one}")] = 400.0
    assert least <= clients.count(amounts) <= most


def test_a_flood_of_addresses_stays_within_its_places() -> None:
    amounts = {clients.place(f"2001:db8:{one:x}"): 1.0 for one in range(10_000)}
    assert len(amounts) == clients.PLACES
    assert clients.count(amounts) == 1420
