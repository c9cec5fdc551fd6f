"""Every shell block of every page is typed by a test, or says why it is not."""

from __future__ import annotations

import re

import pytest

from tests.docs.route import ROUTE
from tests.support import pages
from tests.support.pages import REASONS, SHELLS, Block, shell_blocks


@pytest.mark.parametrize("block", list(shell_blocks()), ids=lambda block: block.where)
def test_a_block_is_typed_by_a_test_or_says_why_not(block: Block) -> None:
    if block.excuse is None:
        assert block.page in ROUTE, (
            f"{block.where}: nobody types it. Add the page to tests/docs/route.py, or put "
            f"`<!-- not run: REASON -->` above the block, with one of {', '.join(REASONS)}."
        )
    else:
        assert block.excuse in REASONS, f"{block.where}: {block.excuse!r} is no known reason"


def test_every_reason_is_used() -> None:
    assert {block.excuse for block in shell_blocks() if block.excuse} == set(REASONS)


@pytest.mark.parametrize("page", pages.pages(), ids=lambda page: page.name)
def test_no_command_hides_in_a_block_without_a_language(page: object) -> None:
    for block in pages.blocks(page):  # type: ignore[arg-type]
        if block.language not in SHELLS and block.language in ("", "text"):
            assert not re.search(r"^(\$ |mina-ops |\./scripts/|curl )", block.text, re.M), (
                f"{block.where}: mark it as sh or console"
            )
