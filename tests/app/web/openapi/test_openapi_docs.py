"""docs/http-api.md shows every operation of the document, recorded from a running app."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.app.web.openapi.documented import operations

PAGE = Path(__file__).parents[4] / "docs" / "http-api.md"
# OFREP has to be asked for by a setting; docs/flags.md shows it.
OPERATIONS = [f"{method.upper()} {path}" for method, path in operations(with_optional=False)]


@pytest.mark.parametrize("operation", OPERATIONS)
def test_the_page_has_a_request_and_an_answer_of_every_operation(operation: str) -> None:
    sections = re.split(r"^## ", PAGE.read_text(), flags=re.M)
    section = [part for part in sections if part.startswith(f"{operation}\n")]
    assert section, "run scripts/dev/http_api.py"
    assert "```sh\ncurl " in section[0]
    assert "```http\nHTTP/1.1 " in section[0]


def test_the_page_shows_no_token_and_no_machine() -> None:
    text = PAGE.read_text()
    assert set(re.findall(r"Bearer ([^\s\"]+)", text)) <= {"$ADMIN_TOKEN", "realm=", "with"}
    assert not re.search(r"127\.0\.0\.1:\d+|/tmp/|/home/|/root/", text)
