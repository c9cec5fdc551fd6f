"""The database tools run nothing of a lesser role's as the operator, wherever it was planted."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event

from mina_ops.errors import MinaOpsError
from mina_ops.operator.database.backup import backup, restore
from mina_ops.operator.database.backup.restore_table import restore_table
from mina_ops.operator.database.connection import access
from mina_ops.operator.database.connection.connect import Database, parse
from mina_ops.operator.database.connection.errors import Refused
from mina_ops.operator.database.integrity import corruption, integrity
from mina_ops.operator.database.integrity.expectations import Expectations
from mina_ops.operator.database.migrations import checking, failure
from tests.operator.database.conftest import SCHEMA, ask, run
from tests.operator.database.migrations.test_lint import write
from tests.support.needs import need
from tests.support.postgres import Postgres

# A role as the app has it: it owns its tables and may create in `public`. Whatever of its own
# runs, and under whose name, is written into `ran`, where everybody may write.
LOW = """
CREATE ROLE low LOGIN;
CREATE TABLE ran (who text, what text);
GRANT ALL ON ran TO PUBLIC;
GRANT ALL ON SCHEMA public TO low;
"""
_NOTE = """
CREATE FUNCTION note(what text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN
  -- A guest has nothing to lose.
  IF current_user NOT LIKE 'mina_guest%' THEN
    INSERT INTO public.ran VALUES (current_user, what);
  END IF;
EXCEPTION WHEN read_only_sql_transaction OR undefined_table THEN
  RAISE EXCEPTION 'ran as %: %', current_user, what; END $$;
"""
# Code that loading, checking or writing rows evaluates.
_PLANTED = """
CREATE FUNCTION fine(int) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN
  PERFORM public.note('check'); RETURN true; END $$;
CREATE FUNCTION worth(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN
  PERFORM public.note('expression'); RETURN $1; END $$;
CREATE FUNCTION told() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  PERFORM public.note('trigger'); RETURN NEW; END $$;
CREATE DOMAIN small AS int CHECK (public.fine(VALUE));
CREATE TABLE mine (id serial PRIMARY KEY, n int CHECK (public.fine(n)), s small,
  g int GENERATED ALWAYS AS (public.worth(n)) STORED, d int DEFAULT public.worth(3));
CREATE UNIQUE INDEX mine_worth ON mine (public.worth(n));
CREATE VIEW seen AS SELECT public.worth(n) AS w FROM mine;
CREATE TRIGGER told BEFORE INSERT OR UPDATE ON mine FOR EACH ROW EXECUTE FUNCTION told();
CREATE RULE copied AS ON INSERT TO mine DO ALSO SELECT public.worth(1);
INSERT INTO mine (n, s) VALUES (1, 1), (2, 2);
CREATE FUNCTION to_text(mine) RETURNS text LANGUAGE sql AS
  $$ SELECT public.note('cast'); SELECT 'x'::text $$;
CREATE CAST (mine AS text) WITH FUNCTION to_text(mine);
CREATE TABLE "x :name" (id int PRIMARY KEY, "100 %s" text);
INSERT INTO "x :name" VALUES (1, 'a');
DELETE FROM ran;
"""
# Of functions that our statements call: the same name and number of arguments, for every type
# that a literal could be taken for.
_CALLED = ("quote_ident", "to_regclass", "pg_get_expr", "count", "hashtextextended", "format_type")
_CALLED += ("starts_with", "pg_terminate_backend", "current_setting", "set_config", "has_role")
_CALLED += ("pg_has_role", "array_agg", "concat_ws", "num_nulls", "max", "min", "regexp_matches")

_TYPES = ("text", "name", "text, text", "text, integer", "integer, integer", "oid, oid")


@pytest.fixture
def low(postgres: Postgres) -> Iterator[tuple[Database, Database]]:
    """The operator's and the low role's way to a database with the low role's code in it."""
    operator = parse(postgres.new_database())
    run(operator, LOW)
    lesser = operator.login("low", "")
    run(lesser, _NOTE)
    run(operator, SCHEMA)
    run(lesser, _PLANTED)
    for name in _CALLED:
        for types in (
            "text",
            "name",
            "text, text",
            "text, integer",
            "integer, integer",
            "oid, oid",
        ):
            run(
                lesser,
                f"CREATE FUNCTION public.{name}({types}) RETURNS text LANGUAGE sql AS "
                f"$$ SELECT public.note('{name}'); SELECT 'x'::text $$",
            )
    run(
        lesser,
        "CREATE FUNCTION eq(name, text) RETURNS bool LANGUAGE sql AS "
        "$$ SELECT public.note('='); SELECT true $$; "
        "CREATE OPERATOR public.= (leftarg = name, rightarg = text, function = eq);",
    )
    run(operator, f"ALTER DATABASE {operator.database} SET search_path = public, pg_catalog")
    run(operator, "DELETE FROM ran")
    try:
        yield operator, lesser
    finally:
        run(operator, "DROP OWNED BY low CASCADE")
        run(operator, "DROP ROLE low")


def ran(database: Database) -> list[tuple[object, ...]]:
    return ask(database, "SELECT DISTINCT who, what FROM public.ran")


def test_reading_commands_run_nothing_of_a_lesser_role(
    low: tuple[Database, Database], tmp_path: Path
) -> None:
    operator, _ = low
    report = integrity.check(operator)
    assert [item for item in report.results if item.state == "error"] == []
    told = {item.check: item.reason for item in report.results if item.state == "skipped"}
    assert "runs code of low" in told["check_constraints"]
    assert "runs code of low" in told["unique_keys"]
    corruption.analyse(operator, Expectations(), tmp_path)
    failure.analyse(operator, write(tmp_path / "m", "pass"))
    assert ran(operator) == []


def test_backup_proves_itself_as_a_guest(low: tuple[Database, Database], tmp_path: Path) -> None:
    operator, _ = low
    made = backup.make(operator, tmp_path / "backup_1.sql")
    assert made.restored
    assert any("owners and rights" in item for item in made.unproven)
    assert ran(operator) == []
    assert ask(operator, "SELECT 1 FROM pg_roles WHERE rolname LIKE 'mina_guest%'") == []


def test_writing_commands_refuse_to_run_a_lesser_roles_code(
    low: tuple[Database, Database], postgres: Postgres, tmp_path: Path
) -> None:
    operator, lesser = low
    file = tmp_path / "backup_1.sql"
    backup.make(operator, file, prove=False)
    other = parse(postgres.new_database())
    with pytest.raises(Refused, match=r"code of low.*--trust-code"):
        restore.restore(file, other)
    with pytest.raises(Refused, match="low"):
        restore_table(file, "mine", operator)
    assert ran(operator) == []
    run(operator, "UPDATE users SET email = 'z' WHERE id = 50")
    assert restore_table(file, "public.users", operator).rows == 1, "it has no such code"
    run(lesser, 'DELETE FROM "x :name"')
    assert restore_table(file, '"x :name"', operator).rows == 1
    assert ran(operator) == []


def test_event_trigger_of_a_lesser_roles_function_stops_a_change(
    low: tuple[Database, Database], tmp_path: Path
) -> None:
    operator, lesser = low
    run(
        lesser,
        "CREATE FUNCTION watches() RETURNS event_trigger LANGUAGE plpgsql AS "
        "$$ BEGIN PERFORM public.note('event trigger'); END $$",
    )
    run(operator, "CREATE EVENT TRIGGER watching ON ddl_command_start EXECUTE FUNCTION watches()")
    run(operator, "DELETE FROM ran")
    with pytest.raises(Refused, match="watching"):
        access.take_offline(operator, "users", tmp_path)
    assert ran(operator) == []
    run(operator, "DROP EVENT TRIGGER watching")
    assert access.take_offline(operator, "users", tmp_path)
    assert access.bring_online(operator, "users", tmp_path)
    assert ran(operator) == []


def test_rehearsal_of_a_migration_runs_as_a_guest(
    low: tuple[Database, Database], tmp_path: Path
) -> None:
    operator, _ = low
    folder = write(
        tmp_path / "m",
        "op.execute(\"SET LOCAL lock_timeout = '5s'; SET LOCAL statement_timeout = '60s'\")\n"
        "    op.execute('DO $$ BEGIN IF (SELECT rolsuper FROM pg_roles WHERE rolname = "
        "session_user) THEN RAISE EXCEPTION $m$as the operator$m$; END IF; END $$')",
    )
    found = checking.check(checking.Question(folder), database=operator)
    assert found.compatible, found.to_text()
    assert not any("Not tried" in remark for remark in found.remarks), found.remarks
    assert ran(operator) == []


# What SQLAlchemy asks by itself, under the pinned path.
_NOT_OURS = ("select current_schema()", "show ", "select pg_catalog.version()")


@pytest.fixture
def said() -> Iterator[list[str]]:
    """Every statement that the operator's connections send."""
    statements: list[str] = []

    def listen(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        guest = str(connection.engine.url.username or "").startswith("mina_guest")
        if connection.dialect.name == "postgresql" and not guest:
            statements.append(statement)

    event.listen(Engine, "before_cursor_execute", listen)
    yield statements
    event.remove(Engine, "before_cursor_execute", listen)


def test_statements_name_every_function_operator_and_type_with_its_schema(
    mina: Database, postgres: Postgres, tmp_path: Path, said: list[str]
) -> None:
    parser = need(_parser)
    file = tmp_path / "backup_1.sql"
    backup.make(mina, file)
    integrity.check(mina)
    corruption.analyse(mina, Expectations(), tmp_path)
    failure.analyse(mina, write(tmp_path / "m", "pass"))
    checking.check(checking.Question(tmp_path / "m"), database=mina)
    restore.restore(file, parse(postgres.new_database()))
    restore_table(file, "segments", mina, exact=True)
    access.take_offline(mina, "users", tmp_path)
    access.bring_online(mina, "users", tmp_path)
    ours = sorted({s for s in said if not s.lower().startswith(_NOT_OURS)})
    assert len(ours) > 40
    assert {s: bad for s in ours if (bad := parser(s))} == {}


def _parser() -> Callable[[str], list[str]]:
    from mina_ops.errors import ToolMissing

    try:
        from pglast import ast, parse_sql, visitors
    except ImportError as exc:
        raise ToolMissing("pglast is not installed; run scripts/dev/setup.") from exc

    class Unqualified(visitors.Visitor):  # type: ignore[misc]
        def __init__(self) -> None:
            self.found: list[str] = []

        def visit_FuncCall(self, ancestors: Any, node: Any) -> None:
            self._look(node.funcname)

        def visit_A_Expr(self, ancestors: Any, node: Any) -> None:
            self._look(node.name)

        def visit_TypeName(self, ancestors: Any, node: Any) -> None:
            self._look(node.names)

        def _look(self, names: Any) -> None:
            parts = [part.sval for part in names or () if isinstance(part, ast.String)]
            if len(parts) == 1:
                self.found.append(parts[0])

    def unqualified(statement: str) -> list[str]:
        visitor = Unqualified()
        visitor(parse_sql(re.sub(r"%\(\w+\)s", "NULL", statement)))
        return visitor.found

    return unqualified


def test_table_with_an_odd_name_ends_no_command(mina: Database, tmp_path: Path) -> None:
    run(mina, 'CREATE TABLE "x :name" (id int PRIMARY KEY, ":a %s" text)')
    run(mina, """INSERT INTO "x :name" VALUES (1, ':b')""")
    file = tmp_path / "backup_1.sql"
    assert backup.make(mina, file).restored
    assert integrity.check(mina).clean
    access.take_offline(mina, '"x :name"', tmp_path)
    access.bring_online(mina, '"x :name"', tmp_path)
    run(mina, 'DELETE FROM "x :name"')
    assert restore_table(file, '"x :name"', mina).rows == 1
    with pytest.raises(MinaOpsError, match="no name of a table"):
        access.take_offline(mina, "x :name; DROP TABLE users", tmp_path)
