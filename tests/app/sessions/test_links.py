from __future__ import annotations

import io
import socket
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from mina_ops.app.sessions.links import cut, link_of, stop_reading


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    theirs.settimeout(2)
    ours.settimeout(2)
    with ours, theirs:
        yield ours, theirs


@pytest.mark.parametrize("key", ["werkzeug.socket", "gunicorn.socket"])
def test_a_server_that_names_its_socket_is_believed(key: str) -> None:
    assert link_of({key: "it"}) == "it"


def test_eventlets_socket_is_behind_its_input() -> None:
    assert link_of({"eventlet.input": SimpleNamespace(get_socket=lambda: "it")}) == "it"


@pytest.mark.parametrize("wrap", [lambda raw: raw, lambda raw: SimpleNamespace(rfile=raw)])
def test_gevents_socket_is_below_the_buffered_input(wrap: Any) -> None:
    stream = SimpleNamespace(raw=SimpleNamespace(_sock="it"))
    assert link_of({"wsgi.input": wrap(stream)}) == "it"


@pytest.mark.parametrize("environ", [{}, {"wsgi.input": io.BytesIO()}, {"gunicorn.socket": None}])
def test_an_unknown_server_has_no_socket_for_us(environ: dict[str, Any]) -> None:
    assert link_of(environ) is None


def test_after_stop_reading_what_was_sent_still_arrives(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = pair
    stop_reading(ours)
    assert ours.recv(1) == b""
    ours.sendall(b"bye")
    assert theirs.recv(3) == b"bye"


def test_a_cut_ends_both_directions_and_may_be_repeated(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = pair
    cut(ours)
    cut(ours)
    assert theirs.recv(1) == b""
    with pytest.raises(BrokenPipeError):
        ours.sendall(b"x")


def test_a_socket_that_is_closed_already_is_no_error() -> None:
    gone = socket.socket()
    gone.close()
    cut(gone)
    stop_reading(gone)
