from __future__ import annotations

import pytest

from mina_ops.demo.config import from_environment


def test_an_empty_environment_gives_sqlite_no_redis_and_no_faults() -> None:
    config = from_environment({})
    assert config["SQLALCHEMY_DATABASE_URI"] == "sqlite:///mina.db"
    assert config["REDIS_URL"] is None
    assert (config["DEMO_ERROR_PERCENT"], config["DEMO_SLOW_MS"]) == (0, 0)
    assert config["SECRET_KEY"] != from_environment({})["SECRET_KEY"]


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_any_spelling_of_postgresql_is_reached_through_psycopg(scheme: str) -> None:
    config = from_environment({"DATABASE_URL": f"{scheme}://u@h/db"})
    assert config["SQLALCHEMY_DATABASE_URI"] == "postgresql+psycopg://u@h/db"


@pytest.mark.parametrize("text", ["six", "-1", "101", "nan"])
def test_a_fault_knob_out_of_range_stops_the_start_and_names_the_key(text: str) -> None:
    with pytest.raises(ValueError, match="DEMO_ERROR_PERCENT"):
        from_environment({"DEMO_ERROR_PERCENT": text})
