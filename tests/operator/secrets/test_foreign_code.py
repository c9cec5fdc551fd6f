"""A rotation of the database's password runs nothing of a lesser role's as the operator."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, event

from mina_ops.operator.database.connection.connect import Database, parse
from mina_ops.operator.secrets import database_role
from tests.operator.database.conftest import ask, run
from tests.operator.database.connection.test_foreign_code import _NOT_OURS, _parser
from tests.support.needs import need
from tests.support.postgres import Postgres

# Functions that a rotation calls, and an operator that fits its operands better than the built-in.
PLANTED = """
CREATE FUNCTION public.note(what text) RETURNS void LANGUAGE sql AS
  $$ INSERT INTO public.ran VALUES (current_user, what) $$;
CREATE FUNCTION public.split_part(text, text, int) RETURNS text LANGUAGE sql AS
  $$ SELECT public.note('split_part'); SELECT 'x'::text $$;
CREATE FUNCTION public.starts_with(text, unknown) RETURNS bool LANGUAGE sql AS
  $$ SELECT public.note('starts_with'); SELECT true $$;
CREATE FUNCTION public.pg_terminate_backend(int, int) RETURNS bool LANGUAGE sql AS
  $$ SELECT public.note('terminate'); SELECT true $$;
CREATE FUNCTION public.eq(name, text) RETURNS bool LANGUAGE sql AS
  $$ SELECT public.note('='); SELECT true $$;
CREATE OPERATOR public.= (leftarg = name, rightarg = text, function = public.eq);
CREATE FUNCTION public.watches() RETURNS event_trigger LANGUAGE plpgsql AS
  $$ BEGIN PERFORM public.note('event trigger'); END $$;
"""


@pytest.fixture
def operator(postgres: Postgres) -> Iterator[Database]:
    found = parse(postgres.new_database())
    run(
        found,
        "CREATE ROLE planter LOGIN; CREATE ROLE login_v1 LOGIN; "
        "CREATE TABLE ran (who text, what text); GRANT ALL ON ran TO PUBLIC; "
        "GRANT ALL ON SCHEMA public TO planter, login_v1;",
    )
    run(found.login("planter", ""), PLANTED.replace("(text, unknown)", "(text, text)"))
    run(found, "CREATE EVENT TRIGGER watching ON ddl_command_start EXECUTE FUNCTION watches()")
    run(found, f"ALTER DATABASE {found.database} SET search_path = public, pg_catalog")
    run(found, "DELETE FROM ran")
    yield found
    run(found, "DROP EVENT TRIGGER watching; DROP OWNED BY planter, login_v1, login_v2 CASCADE")
    run(found, "DROP ROLE IF EXISTS login_v2; DROP ROLE planter; DROP ROLE login_v1")


def test_a_rotation_runs_no_code_of_a_lesser_role(operator: Database) -> None:
    parser = need(_parser)
    said: list[str] = []

    def listen(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        said.append(statement)

    event.listen(Engine, "before_cursor_execute", listen)
    try:
        database_role.create(operator, "login_v1", "login_v2", "secret")
        database_role.retire(operator, "login_v1", wait_seconds=0.1, cut=True)
        database_role.revive(operator, "login_v1", "login_v2", "secret")
        run(operator.login("login_v2", "secret"), "SET ROLE NONE; CREATE TABLE public.own (n int)")
        run(operator, "DELETE FROM public.ran")
        left = database_role.drop(operator, "login_v2")
    finally:
        event.remove(Engine, "before_cursor_execute", listen)
    assert left is not None
    assert "login_v2" in left, "what it owns stays, as taking it away would run an event trigger"
    assert ask(operator, "SELECT who, what FROM public.ran") == []
    ours = {s for s in said if not s.lower().startswith(_NOT_OURS)}
    queries = {s for s in ours if s.lstrip().startswith("SELECT")}
    assert len(queries) >= 5
    assert {s: bad for s in queries if (bad := parser(s))} == {}
