"""Gauges that other parts of an app show at `/metrics`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

Reading = Callable[[], float | None]
Values = Mapping[tuple[str, ...], float]


@dataclass(frozen=True)
class Gauge:
    """One gauge, or a counter where its name ends with `_total`.

    `read` answers from memory: the values of `labels` -> the number, {} where there is none.
    Colour and version are labels of every gauge, and not named here.
    """

    name: str
    text: str
    read: Callable[[], Values]
    labels: tuple[str, ...] = ()


def plain(name: str, text: str, read: Reading) -> Gauge:
    """A gauge of one number; None: no sample."""

    def values() -> Values:
        value = read()
        return {} if value is None else {(): value}

    return Gauge(name, text, values)
