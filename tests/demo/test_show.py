from __future__ import annotations

import io

from mina_ops.demo.figures import Figures
from mina_ops.demo.show import LiveShow, Show, Status, open_show

STATUS = Status({"blue": 75, "green": 25}, {"blue": 12, "green": None}, requests=9, clients=12)
FIGURES = Figures(10_000, 0, 240, 240, 20_000, 0, 0, 6, 8.1, 12.5, None)


def test_a_pipe_gets_plain_lines_and_not_a_status_each_time() -> None:
    stream = io.StringIO()
    with open_show(stream, live=None) as show:
        show.act("Drain")
        show.step("live sessions of blue: 12")
        for _ in range(3):
            show.update(STATUS)
        show.result(FIGURES)
    text = stream.getvalue()
    assert "== Drain" in text
    assert "live sessions of blue: 12" in text
    assert text.count("traffic blue 75 %, green 25 %; live sessions blue 12, green -") == 1
    assert "requests            10,000" in text
    assert "drain seconds       -" in text
    assert "\x1b" not in text


def test_a_terminal_gets_a_picture_that_ends_with_a_table() -> None:
    stream = io.StringIO()
    show = open_show(stream, live=True)
    assert isinstance(show, LiveShow)
    with show:
        show.step("live sessions of blue: 12")
        show.update(STATUS)
        show.result(FIGURES)
    text = stream.getvalue()
    assert "live sessions of blue: 12" in text
    assert "█" in text
    assert "\x1b[" in text
    assert "10,000" in text


def test_plain_is_chosen_by_asking_for_it() -> None:
    assert type(open_show(io.StringIO(), live=False)) is Show
