"""One table comes back in real schemas, and the next INSERT works."""

from __future__ import annotations

from pathlib import Path

import pytest

from mina_ops.errors import ConfigurationError
from mina_ops.operator.database.backup import backup
from mina_ops.operator.database.backup.restore_table import restore_table
from mina_ops.operator.database.connection.connect import Database, parse
from mina_ops.operator.database.connection.errors import RestoreFailed
from tests.operator.database.conftest import ask, run
from tests.support.postgres import Postgres

SCHEMA = """
CREATE TABLE owners (id int PRIMARY KEY);
INSERT INTO owners VALUES (1), (2);
CREATE TABLE rich (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, owner int REFERENCES owners (id),
  boss bigint REFERENCES rich (id), j json, jb jsonb, p point, t text COLLATE "C",
  up text GENERATED ALWAYS AS (upper(t)) STORED, gone int, updated_at timestamptz DEFAULT now());
CREATE TABLE audit (what text);
CREATE FUNCTION touched() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  INSERT INTO audit VALUES (TG_OP); NEW.updated_at := now(); RETURN NEW; END $$;
CREATE TRIGGER touched BEFORE INSERT OR UPDATE ON rich FOR EACH ROW EXECUTE FUNCTION touched();
CREATE TRIGGER asleep BEFORE UPDATE ON rich FOR EACH ROW EXECUTE FUNCTION touched();
ALTER TABLE rich DISABLE TRIGGER asleep;
INSERT INTO rich (owner, j, jb, p, t, gone)
  SELECT 1, '{"a" : 1}', '{"a": 1}', '(1,2)', 't' || n, n FROM generate_series(1, 20) AS n;
UPDATE rich SET boss = id - 1 WHERE id > 1;
CREATE TABLE parts (id serial, k int, v text, PRIMARY KEY (id, k)) PARTITION BY RANGE (k);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10);
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (10) TO (20);
CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN INSERT INTO audit VALUES (TG_OP); RETURN NULL; END $$;
CREATE TRIGGER noted AFTER INSERT ON parts FOR EACH ROW EXECUTE FUNCTION noted();
INSERT INTO parts (k, v) SELECT n, 'v' || n FROM generate_series(0, 19) AS n;
CREATE SEQUENCE down INCREMENT -1;
CREATE TABLE seats (
  row int, id int GENERATED ALWAYS AS (row * 10) STORED PRIMARY KEY, spot int NOT NULL UNIQUE,
  number int DEFAULT nextval('down'));
INSERT INTO seats (row, spot) SELECT n, n FROM generate_series(1, 5) AS n;
CREATE TABLE guests (seat int REFERENCES seats (id));
INSERT INTO guests SELECT n * 10 FROM generate_series(1, 5) AS n;
CREATE TABLE loose (n int);
INSERT INTO loose VALUES (1), (1);
DELETE FROM audit;
"""

_QUIETLY = "SET session_replication_role = replica;"


@pytest.fixture
def rich(postgres: Postgres) -> Database:
    database = parse(postgres.new_database())
    run(database, SCHEMA)
    return database


@pytest.fixture
def backed_up(rich: Database, tmp_path: Path) -> Path:
    file = tmp_path / "backup_1.sql"
    backup.make(rich, file, prove=False)
    return file


def test_every_kind_of_column_comes_back_and_triggers_stay_silent(
    rich: Database, backed_up: Path
) -> None:
    everything = (
        "SELECT id, owner, boss, j::text, jb, p::text, t, up, updated_at FROM rich ORDER BY 1"
    )
    before = ask(rich, everything)
    run(
        rich,
        "SET session_replication_role = replica; UPDATE rich SET t = 'x', j = '{}' WHERE id < 6",
    )
    run(rich, "SET session_replication_role = replica; DELETE FROM rich WHERE id > 15")

    done = restore_table(backed_up, "rich", rich)

    assert done.rows == 10
    assert ask(rich, everything) == before
    assert ask(rich, "SELECT count(*) FROM audit") == [(0,)]
    assert any("did not fire: touched" in remark for remark in done.remarks), done.remarks
    states = "SELECT tgname, tgenabled::text FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1, 2"
    assert ("asleep", "D") in ask(rich, states)
    run(rich, "INSERT INTO rich (owner) VALUES (1)")
    assert ask(rich, "SELECT count(*) FROM audit") == [(1,)], "triggers fire again"


def test_sequence_goes_on_behind_the_rows_after_a_truncate(rich: Database, backed_up: Path) -> None:
    run(rich, "TRUNCATE rich RESTART IDENTITY")
    done = restore_table(backed_up, "public.rich", rich)
    assert done.rows == 20
    run(rich, "INSERT INTO rich (owner) VALUES (2)")
    assert ask(rich, "SELECT max(id) FROM rich") == [(21,)]
    assert any("goes on behind 20" in remark for remark in done.remarks)


def test_columns_that_came_and_went_since(rich: Database, backed_up: Path) -> None:
    run(rich, "ALTER TABLE rich DROP COLUMN gone, ADD COLUMN fresh int NOT NULL DEFAULT 7")
    run(
        rich,
        "SET session_replication_role = replica; UPDATE rich SET fresh = 8, t = 'x' WHERE id = 1",
    )
    run(rich, "SET session_replication_role = replica; DELETE FROM rich WHERE id = 20")
    done = restore_table(backed_up, "rich", rich)
    assert done.rows == 2
    assert ask(rich, "SELECT fresh, t FROM rich WHERE id IN (1, 20) ORDER BY id") == [
        (8, "t1"),
        (7, "t20"),
    ]
    assert "gone" in done.remarks[0]
    assert "fresh" in done.remarks[1]


def test_partitioned_table_comes_back(rich: Database, backed_up: Path) -> None:
    before = ask(rich, "SELECT * FROM parts ORDER BY k")
    run(rich, "UPDATE parts SET v = 'x' WHERE k > 8; DELETE FROM parts WHERE k IN (3, 13)")
    assert restore_table(backed_up, "parts", rich).rows == 12
    assert ask(rich, "SELECT * FROM parts ORDER BY k") == before
    assert ask(rich, "SELECT count(*) FROM audit") == [(0,)]


def test_values_that_only_one_row_may_hold_come_back_where_they_were_swapped(
    rich: Database, backed_up: Path
) -> None:
    before = ask(rich, "SELECT row, id, spot, number FROM seats ORDER BY id")
    run(rich, "UPDATE seats SET spot = -spot")
    run(rich, "UPDATE seats SET spot = spot + 6")
    run(rich, "ALTER TABLE seats ADD COLUMN since int DEFAULT 1; UPDATE seats SET since = id")
    done = restore_table(backed_up, "seats", rich)
    assert done.rows == 4, "the seat in the middle had its spot"
    assert ask(rich, "SELECT row, id, spot, number FROM seats ORDER BY id") == before
    assert ask(rich, "SELECT bool_and(since = id) FROM seats") == [(True,)]
    assert ask(rich, "SELECT count(*) FROM guests") == [(5,)]


def test_a_sequence_that_counts_down_goes_on_below_the_rows(
    rich: Database, backed_up: Path
) -> None:
    run(rich, "DROP TABLE guests; TRUNCATE seats; ALTER SEQUENCE down OWNED BY seats.number")
    run(rich, "TRUNCATE seats RESTART IDENTITY")
    done = restore_table(backed_up, "seats", rich)
    assert "public.down goes on behind -5" in done.remarks
    run(rich, "INSERT INTO seats (row, spot) VALUES (6, 6)")
    assert ask(rich, "SELECT min(number) FROM seats") == [(-6,)]


def test_a_key_that_the_backup_knows_in_part_is_refused(rich: Database, backed_up: Path) -> None:
    run(rich, "ALTER TABLE loose ADD COLUMN id serial PRIMARY KEY")
    with pytest.raises(RestoreFailed, match=r"has no id.*Nothing was changed"):
        restore_table(backed_up, "loose", rich)
    assert ask(rich, "SELECT count(*) FROM loose") == [(2,)]


def test_exact_removes_what_came_later_and_needs_no_key(rich: Database, backed_up: Path) -> None:
    run(rich, "INSERT INTO loose VALUES (2); INSERT INTO parts (k, v) VALUES (5, 'later')")
    assert restore_table(backed_up, "parts", rich, exact=True).rows == 1
    with pytest.raises(ConfigurationError, match="--exact"):
        restore_table(backed_up, "loose", rich)
    restore_table(backed_up, "loose", rich, exact=True)
    assert ask(rich, "SELECT n FROM loose") == [(1,), (1,)]


def test_rows_whose_parents_are_gone_change_nothing(rich: Database, backed_up: Path) -> None:
    run(rich, "TRUNCATE rich; DELETE FROM owners WHERE id = 1")
    with pytest.raises(RestoreFailed, match=r"foreign key constraint.*Nothing was changed"):
        restore_table(backed_up, "rich", rich)
    assert ask(rich, "SELECT count(*) FROM rich") == [(0,)]
    assert ask(rich, "SELECT count(*) FROM pg_trigger WHERE tgenabled = 'D'") == [(1,)]
