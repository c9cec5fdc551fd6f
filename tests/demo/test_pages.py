from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from flask import Flask
from flask.testing import FlaskClient

from mina_ops.demo.pages import client_folders, socket_io_client
from tests.support.needs import missing


def test_the_playbook_can_warm_up_the_page_without_a_login(client: FlaskClient) -> None:
    answer = client.get("/live")
    assert answer.status_code == 200
    assert "Live transcription" in answer.text


def test_the_page_loads_nothing_from_elsewhere(client: FlaskClient) -> None:
    client.post("/api/auth/login", data={"username": "mina", "password": "mina-password"})
    assert "://" not in client.get("/live").text


def test_the_nearest_installed_client_is_served(tmp_path: Path) -> None:
    script = tmp_path / "node_modules/socket.io-client/dist/socket.io.min.js"
    script.parent.mkdir(parents=True)
    script.touch()
    assert socket_io_client([tmp_path / "empty", tmp_path]) == script


def test_the_page_brings_the_stock_client_along(make_app: Callable[..., Flask]) -> None:
    installed = socket_io_client(client_folders())
    if installed is None:
        missing("socket.io-client is not installed: npm install")
    client = make_app().test_client()
    client.post("/api/auth/login", data={"username": "mina", "password": "mina-password"})
    assert "/vendor/socket.io.min.js" in client.get("/live").text
    with client.get("/vendor/socket.io.min.js") as script:
        assert script.data == installed.read_bytes()


def test_without_the_client_the_page_says_what_to_install(make_app: Callable[..., Flask]) -> None:
    client = make_app(SOCKET_IO_CLIENT=None).test_client()
    assert "npm install" in client.get("/live").text
    assert client.get("/vendor/socket.io.min.js").status_code == 404
