"""A database with whatever PostgreSQL allows is whole, and comes back byte for byte."""

from __future__ import annotations

from pathlib import Path

import pytest

from mina_ops.operator.database.backup import backup, restore
from mina_ops.operator.database.connection.connect import Database, parse
from mina_ops.operator.database.integrity import integrity
from tests.operator.database.backup.test_backup import dump
from tests.operator.database.conftest import run
from tests.support.postgres import Postgres

ODD = """
CREATE SCHEMA "Odd Schema";
CREATE TABLE parent (id int, k text, PRIMARY KEY (id, k)) PARTITION BY LIST (k);
CREATE TABLE parent_a PARTITION OF parent FOR VALUES IN ('a');
CREATE TABLE parent_d PARTITION OF parent DEFAULT;
CREATE TABLE child (id serial PRIMARY KEY, pid int, pk text, FOREIGN KEY (pid,
  pk) REFERENCES parent);
INSERT INTO parent VALUES (1,'a'),(2,'b');
INSERT INTO child (pid,pk) VALUES (1,'a'),(2,'b'),(NULL,'zz'),(7,NULL);
CREATE TABLE pchild (id int, pid int, pk text, FOREIGN KEY (pid,
  pk) REFERENCES parent) PARTITION BY RANGE (id);
CREATE TABLE pchild1 PARTITION OF pchild FOR VALUES FROM (0) TO (10);
INSERT INTO pchild VALUES (1,1,'a');
CREATE TABLE "Odd Schema"."Ta""ble" ("Id" int PRIMARY KEY,
  "va lue" text CHECK ("va lue" <> 'a:b%s'), up text GENERATED ALWAYS AS (upper("va lue")) STORED);
INSERT INTO "Odd Schema"."Ta""ble" VALUES (1,'x'),(2,NULL);
CREATE TABLE fullm (a int, b int, UNIQUE (a,b));
INSERT INTO fullm VALUES (1,1);
CREATE TABLE fullc (a int, b int, FOREIGN KEY (a,b) REFERENCES fullm(a,b) MATCH FULL);
INSERT INTO fullc VALUES (1,1),(NULL,NULL);
CREATE TABLE selfr (id int PRIMARY KEY, boss int REFERENCES selfr);
INSERT INTO selfr VALUES (1,NULL),(2,1);
CREATE TABLE excl (r int4range, EXCLUDE USING gist (r WITH &&));
INSERT INTO excl VALUES ('[1,2)');
CREATE TABLE nnd (a int, UNIQUE NULLS NOT DISTINCT (a));
INSERT INTO nnd VALUES (NULL),(1);
CREATE TABLE nn (a int UNIQUE);
INSERT INTO nn VALUES (NULL),(NULL);
CREATE TABLE inh (id int, CHECK (id > 0) NO INHERIT);
CREATE TABLE inhc () INHERITS (inh);
INSERT INTO inh VALUES (1);
INSERT INTO inhc VALUES (-1);
CREATE DOMAIN pos AS int CHECK (VALUE > 0);
CREATE TABLE dom (a pos);
INSERT INTO dom VALUES (1);
CREATE TABLE js (a json, b xml, c point);
INSERT INTO js VALUES ('{}','<a/>','(1,2)');

CREATE TABLE toob (id smallint GENERATED ALWAYS AS IDENTITY (
  START 10 INCREMENT 10 MINVALUE 10 MAXVALUE 100 CYCLE));
INSERT INTO toob DEFAULT VALUES;
CREATE TABLE neg (id int PRIMARY KEY DEFAULT 5);
CREATE SEQUENCE s2 INCREMENT -1;
ALTER SEQUENCE s2 OWNED BY neg.id;
CREATE UNLOGGED TABLE ul (a int);
CREATE MATERIALIZED VIEW mv AS SELECT * FROM child;
CREATE UNIQUE INDEX ON mv (id);
CREATE VIEW vv AS SELECT * FROM child;
CREATE FUNCTION boom() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE TABLE chk (a int CHECK (a < boom() + 5));
INSERT INTO chk VALUES (1);
CREATE TABLE rls (a int);
ALTER TABLE rls ENABLE ROW LEVEL SECURITY;
ALTER TABLE rls FORCE ROW LEVEL SECURITY;
CREATE TABLE empty ();
"""


@pytest.fixture
def odd(postgres: Postgres) -> Database:
    database = parse(postgres.new_database())
    run(database, ODD)
    return database


def test_odd_but_clean_database_has_no_fault(odd: Database) -> None:
    report = integrity.check(odd)
    assert report.clean, report.to_text()


def test_fault_in_a_partition_is_found_once(odd: Database) -> None:
    run(odd, "SET session_replication_role = replica; INSERT INTO pchild VALUES (2, 9, 'z')")
    found = integrity.check(odd).findings
    assert [(item.check, item.table, item.rows) for item in found] == [
        ("foreign_keys", "public.pchild", 1)
    ]


def test_odd_database_comes_back_byte_for_byte(
    odd: Database, postgres: Postgres, tmp_path: Path
) -> None:
    file = tmp_path / "backup_1.sql"
    assert backup.make(odd, file).restored
    other = parse(postgres.new_database())
    assert restore.restore(file, other).differences == []
    assert dump(other) == dump(odd)


def test_rows_that_a_policy_hides_are_an_error_not_a_clean_bill(odd: Database) -> None:
    run(odd, "CREATE ROLE half LOGIN; GRANT pg_read_all_data TO half")
    run(odd, "INSERT INTO rls VALUES (1)")
    try:
        report = integrity.check(Database(odd.url.set(username="half")), only=["readable"])
    finally:
        run(odd, "DROP ROLE half")
    assert not report.clean
    assert "may not read" in report.to_text()
