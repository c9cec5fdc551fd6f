"""Thirty dangerous and thirty safe migrations, each run for real in a copy of the schema.

Of the dangerous ones none passes; of the safe ones at most one is refused.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from mina_ops.operator.database.connection.connect import Database, parse
from mina_ops.operator.database.connection.queries import quoted
from mina_ops.operator.database.migrations import checking
from mina_ops.operator.database.migrations.lint import LintReport
from mina_ops.operator.database.migrations.rehearsal import rehearse
from mina_ops.operator.database.migrations.rehearsal.rehearse import RehearsalPlan
from mina_ops.operator.database.migrations.revisions import Tree
from tests.operator.database.conftest import ask, run
from tests.operator.database.migrations.test_lint import CONCURRENT, TIMEOUTS, write
from tests.support.postgres import Postgres

SCHEMA = """
CREATE TYPE mood AS ENUM ('glad', 'sad');
CREATE TABLE users (id serial PRIMARY KEY, name varchar(80) NOT NULL, email text, m mood);
CREATE TABLE sessions (id serial PRIMARY KEY, user_id int REFERENCES users (id),
  title varchar(50) NOT NULL DEFAULT '', note text, state text,
  CONSTRAINT state_known CHECK (state IS NOT NULL));
CREATE TABLE segments (id serial PRIMARY KEY, session_id int, text text, price numeric(8, 2));
ALTER TABLE segments ADD CONSTRAINT priced CHECK (price >= 0) NOT VALID;
CREATE UNIQUE INDEX users_email ON users (email);
CREATE TABLE parts (id int NOT NULL, k int NOT NULL) PARTITION BY RANGE (k);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10);
CREATE TABLE proven (id int NOT NULL, k int NOT NULL,
  CHECK (k IS NOT NULL AND k >= 10 AND k < 20));
CREATE TABLE unproven (id int NOT NULL, k int NOT NULL);
CREATE VIEW titles AS SELECT id, state FROM sessions;
CREATE FUNCTION fresh() RETURNS text LANGUAGE sql AS 'SELECT clock_timestamp()::text';
CREATE FUNCTION steady() RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT ''x''';
CREATE FUNCTION drops() RETURNS void LANGUAGE sql AS 'ALTER TABLE sessions DROP COLUMN note';
CREATE FUNCTION adds() RETURNS void LANGUAGE sql AS 'ALTER TABLE sessions ADD COLUMN fine text';
CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY);
INSERT INTO users (name) SELECT 'u' || n FROM generate_series(1, 9) AS n;
INSERT INTO sessions (user_id, state) SELECT n, 'on' FROM generate_series(1, 9) AS n;
INSERT INTO segments (session_id, price) SELECT n, n FROM generate_series(1, 9) AS n;
"""


def sql(*statements: str) -> str:
    """The upgrade that runs these statements, with timeouts first."""
    lines = [TIMEOUTS, *(f"op.execute({statement!r})" for statement in statements)]
    return "\n    ".join(lines)


def bare(line: str) -> str:
    return f"{TIMEOUTS}\n    {line}"


DANGEROUS = {
    "default by an own volatile function": sql(
        "ALTER TABLE sessions ADD COLUMN code text DEFAULT fresh()"
    ),
    "default by a function newer than any list": sql(
        "ALTER TABLE sessions ADD COLUMN code uuid DEFAULT gen_random_uuid()"
    ),
    "enum that does not exist": bare(
        "op.add_column('users', sa.Column('x', sa.Enum('a', name='nope')))"
    ),
    "no limit": 'op.execute("SET LOCAL lock_timeout = 0")\n    '
    "op.execute('ALTER TABLE sessions ADD COLUMN a int')",
    "limit of an hour": "op.execute(\"SET LOCAL lock_timeout = '1h'\")\n    "
    "op.execute('ALTER TABLE sessions ADD COLUMN a int')",
    "no timeout at all": "op.add_column('sessions', sa.Column('a', sa.Integer))",
    "raw column with a reference": sql(
        "ALTER TABLE sessions ADD COLUMN owner int DEFAULT 1 REFERENCES users (id)"
    ),
    "raw column with a check": sql("ALTER TABLE sessions ADD COLUMN n int DEFAULT 1 CHECK (n > 0)"),
    "function that changes the schema": sql("SELECT drops()"),
    "block that drops a column": sql("DO $$ BEGIN ALTER TABLE sessions DROP COLUMN note; END $$"),
    "column dropped": bare("op.drop_column('sessions', 'note')"),
    "table dropped": bare("op.drop_table('segments')"),
    "column renamed": bare("op.alter_column('sessions', 'note', new_column_name='remark')"),
    "table renamed": bare("op.rename_table('segments', 'pieces')"),
    "renamed with a view that lacks a column": sql(
        "ALTER TABLE segments RENAME TO pieces",
        "CREATE VIEW segments AS SELECT id, session_id FROM pieces",
    ),
    "renamed with a view that takes no writes": sql(
        "ALTER TABLE segments RENAME TO pieces",
        "CREATE VIEW segments AS SELECT DISTINCT * FROM pieces",
    ),
    "not null at once": bare("op.alter_column('sessions', 'note', nullable=False)"),
    "required column": bare("op.add_column('alien', sa.Column('id', sa.Integer))").replace(
        "op.add_column('alien', sa.Column('id', sa.Integer))",
        "op.execute('DELETE FROM segments')\n    "
        "op.add_column('segments', sa.Column('r', sa.Integer, nullable=False))",
    ),
    "type changed": bare("op.alter_column('segments', 'session_id', type_=sa.BigInteger)"),
    "narrower text": bare("op.alter_column('sessions', 'title', type_=sa.String(20))"),
    "index not concurrent": bare("op.create_index('i', 'sessions', ['note'])"),
    "concurrent in a transaction": bare(
        "op.create_index('i', 'sessions', ['note'], postgresql_concurrently=True)"
    ),
    "check at once": sql("ALTER TABLE segments ADD CONSTRAINT c CHECK (text <> 'x')"),
    "foreign key at once": sql(
        "ALTER TABLE segments ADD FOREIGN KEY (session_id) REFERENCES sessions (id)"
    ),
    "validated in the transaction that locks": sql(
        "ALTER TABLE segments ADD CONSTRAINT c CHECK (text <> 'x') NOT VALID",
        "ALTER TABLE segments VALIDATE CONSTRAINT c",
    ),
    "filled in the transaction that locks": sql(
        "ALTER TABLE sessions ADD COLUMN a int", "UPDATE sessions SET a = 1"
    ),
    "another table filled under a lock": sql(
        "ALTER TABLE sessions ADD COLUMN a int", "UPDATE segments SET text = 'y'"
    ),
    "partition without proof": sql(
        "ALTER TABLE parts ATTACH PARTITION unproven FOR VALUES FROM (10) TO (20)"
    ),
    "stored column": sql(
        "ALTER TABLE sessions ADD COLUMN up text GENERATED ALWAYS AS (upper(title)) STORED"
    ),
    "table written anew": sql("ALTER TABLE segments SET UNLOGGED"),
    "new value used at once": sql(
        "ALTER TYPE mood ADD VALUE 'calm'", "UPDATE users SET m = 'calm'"
    ),
    "value renamed": sql("ALTER TYPE mood RENAME VALUE 'sad' TO 'blue'"),
    "view dropped": sql("DROP VIEW titles"),
    "row security": sql("ALTER TABLE segments ENABLE ROW LEVEL SECURITY"),
}
SAFE = {
    "new table": bare("op.create_table('fresh', sa.Column('id', sa.Integer, primary_key=True))"),
    "new table with index": bare(
        "op.create_table('fresh', sa.Column('id', sa.Integer, primary_key=True), "
        "sa.Column('n', sa.Text))\n    op.create_index('i', 'fresh', ['n'])"
    ),
    "nullable column": bare("op.add_column('sessions', sa.Column('a', sa.Integer))"),
    "column with a constant default": bare(
        "op.add_column('sessions', sa.Column('a', sa.Integer, nullable=False, server_default='0'))"
    ),
    "default by an own immutable function": sql(
        "ALTER TABLE sessions ADD COLUMN code text DEFAULT steady()"
    ),
    "default now": sql("ALTER TABLE sessions ADD COLUMN at timestamptz DEFAULT now()"),
    "required column with default": sql("ALTER TABLE segments ADD COLUMN r int NOT NULL DEFAULT 7"),
    "function that adds": sql("SELECT adds()"),
    "block that adds": sql("DO $$ BEGIN ALTER TABLE sessions ADD COLUMN b int; END $$"),
    "renamed with a view": sql(
        "ALTER TABLE segments RENAME TO pieces",
        "CREATE VIEW segments AS SELECT * FROM pieces",
    ),
    "not null with a proven check": sql("ALTER TABLE sessions ALTER COLUMN state SET NOT NULL"),
    "check not valid": sql("ALTER TABLE segments ADD CONSTRAINT c CHECK (text <> 'x') NOT VALID"),
    "check validated later": sql("ALTER TABLE segments VALIDATE CONSTRAINT priced"),
    "foreign key not valid": sql(
        "ALTER TABLE segments ADD FOREIGN KEY (session_id) REFERENCES sessions (id) NOT VALID"
    ),
    "index concurrently": f"{CONCURRENT}op.create_index('i', 'sessions', ['note'], "
    "postgresql_concurrently=True)",
    "index dropped concurrently": f"{CONCURRENT}op.drop_index('users_email', 'users', "
    "postgresql_concurrently=True)",
    "unique by an index that is there": sql(
        "ALTER TABLE users ADD CONSTRAINT mail UNIQUE USING INDEX users_email"
    ),
    "wider text": bare(
        "op.alter_column('sessions', 'title', type_=sa.String(200), existing_type=sa.String(50))"
    ),
    "text instead of varchar": sql("ALTER TABLE sessions ALTER COLUMN title TYPE text"),
    "wider number": sql("ALTER TABLE segments ALTER COLUMN price TYPE numeric(12, 2)"),
    "default set": sql("ALTER TABLE sessions ALTER COLUMN note SET DEFAULT 'x'"),
    "null allowed": sql("ALTER TABLE sessions ALTER COLUMN title DROP NOT NULL"),
    "value added outside": f"{CONCURRENT}op.execute(\"ALTER TYPE mood ADD VALUE 'calm'\")",
    "new type and column": bare(
        "sa.Enum('a', 'b', name='kind').create(op.get_bind())\n    "
        "op.add_column('users', sa.Column('kind', sa.Enum('a', 'b', name='kind')))"
    ),
    "partition with proof": sql(
        "ALTER TABLE parts ATTACH PARTITION proven FOR VALUES FROM (10) TO (20)"
    ),
    "new partition": sql("CREATE TABLE parts_3 PARTITION OF parts FOR VALUES FROM (20) TO (30)"),
    "comment": sql("COMMENT ON TABLE sessions IS 'x'"),
    "view replaced": sql("CREATE OR REPLACE VIEW titles AS SELECT id, state FROM sessions"),
    "rows of a new table": bare(
        "t = op.create_table('fresh', sa.Column('id', sa.Integer))\n    "
        "op.bulk_insert(t, [{'id': 1}])"
    ),
    "looks before it acts": bare(
        "cols = [c['name'] for c in sa.inspect(op.get_bind()).get_columns('sessions')]\n    "
        "'zz' in cols or op.add_column('sessions', sa.Column('zz', sa.Text))"
    ),
    "new function": sql("CREATE FUNCTION more() RETURNS int LANGUAGE sql AS 'SELECT 1'"),
    "statistics": sql("CREATE STATISTICS s ON note, state FROM sessions"),
}
# In every run; the others with --long.
SHORT = {
    *("default by an own volatile function", "enum that does not exist", "no limit"),
    *("function that changes the schema", "filled in the transaction that locks"),
    *("renamed with a view", "not null with a proven check", "partition with proof"),
    *("block that adds", "index concurrently"),
}
_numbers = itertools.count()


@pytest.fixture(scope="module")
def copied(postgres: Postgres) -> Iterator[Database]:
    """The scratch copy of the schema, as `db check` makes it; each case gets a copy of its own."""
    source = parse(postgres.new_database())
    run(source, SCHEMA)
    with rehearse.copied(source) as (copy, _):
        yield copy


def verdict(postgres: Postgres, copied: Database, folder: Path) -> LintReport:
    """The verdict of rules and rehearsal, with the copy that is there."""
    name = f"case_{next(_numbers)}"
    admin = parse(postgres.url())
    owner = quoted(str(copied.url.username))
    run(admin, f"CREATE DATABASE {name} TEMPLATE {copied.database} OWNER {owner}")
    try:
        tree = Tree(folder)
        plan = RehearsalPlan(tree, (), tuple(tree.heads))
        shown = rehearse.run(copied.named(name), plan, '"$user", public')
        rules = checking.check(checking.Question(folder))
        return checking.with_rehearsal(rules, shown)
    finally:
        run(admin, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.mark.parametrize("name", sorted(SHORT & DANGEROUS.keys()))
def test_dangerous_migration_does_not_pass(
    postgres: Postgres, copied: Database, tmp_path: Path, name: str
) -> None:
    folder = write(tmp_path / "m", DANGEROUS[name])
    assert not verdict(postgres, copied, folder).compatible


@pytest.mark.parametrize("name", sorted(SHORT & SAFE.keys()))
def test_safe_migration_passes(
    postgres: Postgres, copied: Database, tmp_path: Path, name: str
) -> None:
    found = verdict(postgres, copied, write(tmp_path / "m", SAFE[name]))
    assert found.compatible, found.to_text()


@pytest.mark.long
def test_no_dangerous_one_of_thirty_passes(
    postgres: Postgres, copied: Database, tmp_path: Path
) -> None:
    passed = [
        name
        for number, (name, upgrade) in enumerate(DANGEROUS.items())
        if verdict(postgres, copied, write(tmp_path / str(number), upgrade)).compatible
    ]
    assert len(DANGEROUS) >= 30
    assert passed == []


@pytest.mark.long
def test_at_most_one_safe_one_of_thirty_is_refused(
    postgres: Postgres, copied: Database, tmp_path: Path
) -> None:
    refused = {}
    for number, (name, upgrade) in enumerate(SAFE.items()):
        found = verdict(postgres, copied, write(tmp_path / str(number), upgrade))
        if not found.compatible:
            refused[name] = found.to_text()
    assert len(SAFE) >= 30
    assert len(refused) <= 1, "\n".join(refused.values())


def test_rehearsal_leaves_target_and_server_as_they_were(
    postgres: Postgres, tmp_path: Path
) -> None:
    target = parse(postgres.new_database())
    run(target, SCHEMA)
    run(target, "INSERT INTO alembic_version VALUES ('r1')")
    folder = write(tmp_path / "m", "pass", sql("SELECT drops()"))
    asked = checking.Question(folder, ("r1",))
    found = checking.check(asked, database=target)
    assert "sessions.note" in found.to_text()
    assert not found.compatible
    assert ask(target, "SELECT count(note), count(*) FROM sessions") == [(0, 9)]
    assert ask(target, "SELECT version_num FROM alembic_version") == [("r1",)]
    left = "SELECT rolname FROM pg_roles WHERE rolname LIKE 'mina_guest%'"
    mine = ask(target, left)
    databases = ask(target, "SELECT datname FROM pg_database WHERE datname LIKE 'mina_scratch%'")
    assert len(mine) <= 1, "the module's own copy may still be there"
    assert len(databases) <= 1
