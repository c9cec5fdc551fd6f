"""No command line of the playbook is without a test that runs it, and the table says which."""

from __future__ import annotations

import ast
import os
import re

import pytest

from tests.playbook.lines import (
    COPY,
    PLAYBOOK,
    REPOSITORY,
    SESSION,
    extract,
    load,
    rule_of,
    table,
)


def test_the_copy_is_what_the_playbook_says() -> None:
    if not COPY.is_file():
        assert os.environ.get("CI") != "true", f"{COPY} is missing"
        pytest.skip("python -m tests.playbook.lines --copy writes it")
    if not PLAYBOOK.is_file():
        pytest.skip("the playbook itself is not beside this checkout")
    assert extract(PLAYBOOK.read_text()) == load()


@pytest.mark.parametrize("command", dict.fromkeys(line.command for line in load()))
def test_the_line_is_run_by_a_test_that_exists(command: str) -> None:
    rule = rule_of(command)
    assert rule is not None, f"nobody runs {command}"
    file, _, name = rule.test.partition("::")
    tree = ast.parse((REPOSITORY / file).read_text())
    functions = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    assert name in functions
    if rule.test != SESSION:
        words = re.split(r"[ ./]", command.removeprefix("./scripts/"))
        assert words[0].replace("_secrets", "") in (REPOSITORY / file).read_text()


def test_the_table_in_the_docs_is_this_one() -> None:
    docs = (REPOSITORY / "docs" / "playbook.md").read_text()
    assert table(load()) in docs, "python -m tests.playbook.lines prints it"
