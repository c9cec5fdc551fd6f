"""What somebody is told to type after a corruption."""

from __future__ import annotations

import shlex
import sqlite3
from pathlib import Path

from mina_ops.operator.database.connection.connect import parse
from mina_ops.operator.database.integrity import corruption
from mina_ops.operator.database.integrity.expectations import Expectations


def test_steps_can_be_typed_whatever_a_table_is_called(tmp_path: Path) -> None:
    file = tmp_path / "mina.db"
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY)")
        connection.execute('CREATE TABLE "order items" (order_id REFERENCES orders (id))')
        connection.execute('INSERT INTO "order items" VALUES (7)')
    connection.close()
    found = corruption.analyse(parse(f"sqlite:///{file}"), Expectations(), tmp_path)
    assert [extent.table for extent in found.extents] == ["order items"]
    words = [shlex.split(step, comments=True) for step in found.steps]
    assert words[0] == ["mina-ops", "db", "offline", "order items"]
    assert words[-1] == ["mina-ops", "db", "online", "order items"]
