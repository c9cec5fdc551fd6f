"""An answer counts for another process only if both would have asked alike."""

from __future__ import annotations

import pytest
from flask import Flask
from sqlalchemy import create_engine

from mina_ops.app.database.connection import OwnConnection
from mina_ops.app.database.source import Source
from mina_ops.app.health.vantage import vantage_of
from mina_ops.app.native import Native
from mina_ops.app.settings import load

URL = "postgresql+psycopg://mina:secret@db:5432/mina"


def _vantage(url: str | None = URL, key: str = "k", **config: object) -> str:
    settings = load({"APP_VERSION": "v1", "OPENAI_API_KEY": "sk-1", **config}, {})
    if url is None:
        return vantage_of(settings, OwnConnection(lambda: None), key)
    source = Source(create_engine(url), Native(), Flask("host"))
    return vantage_of(settings, OwnConnection(lambda: source), key)


def test_processes_that_ask_alike_have_one_vantage() -> None:
    assert _vantage() == _vantage()
    assert _vantage(None) == _vantage(None)


@pytest.mark.parametrize(
    "other",
    [
        {"url": URL.replace("secret", "wrong")},
        {"url": URL.replace("mina:", "ben:")},
        {"url": URL.replace("@db", "@db-2")},
        {"url": None},
        {"APP_VERSION": "v2"},
        {"OPENAI_API_KEY": "sk-2"},
        {"OPENAI_BASE_URL": "http://gateway"},
    ],
)
def test_what_leads_elsewhere_is_another_vantage(other: dict[str, str]) -> None:
    assert _vantage(**other) != _vantage()  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["PGPASSWORD", "https_proxy", "SSL_CERT_FILE"])
def test_what_a_driver_reads_from_the_environment_is_part_of_the_vantage(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    before = _vantage()
    monkeypatch.setenv(name, "x")
    assert _vantage() != before
    monkeypatch.setenv(name, "\udcff")  # bytes that are no text
    assert _vantage() != before


def test_a_name_tells_little_of_a_password() -> None:
    # 16 bits: of 2,000 keys some share a name with another one, as of all that one might try.
    names = {_vantage(None, OPENAI_API_KEY=f"word-{number}") for number in range(2000)}
    assert len(names) < 2000
    assert len({name[:16] for name in names}) == 1
