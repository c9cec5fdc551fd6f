"""What schemathesis makes of our document, sent through real load balancers to a real app.

Beside the app alone (tests/app/web/openapi/test_document.py) a load balancer may refuse, rewrite or
pass on: no answer is a 5xx but the 503 that the document names.
"""

from __future__ import annotations

from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.core.result import Ok

from mina_ops.app.admin.contract import DOCUMENT_PATH
from tests.operator.balancers import Balancer
from tests.security.host import TOKEN
from tests.support.wait import eventually

pytestmark = pytest.mark.long

EXAMPLES = 3


def test_no_answer_through_a_balancer_is_a_5xx_that_the_document_lacks(
    open_site: Balancer,
) -> None:
    site = f"http://127.0.0.1:{open_site.port}"
    eventually(lambda: httpx.get(f"{site}/api/health/ready", timeout=10).status_code == 200, 20)
    schema = schemathesis.openapi.from_url(f"{site}{DOCUMENT_PATH}")
    wrong: list[str] = []
    tried = 0

    def look(operation: Any) -> None:
        @given(case=operation.as_strategy())
        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        def check(case: Any) -> None:
            nonlocal tried
            tried += 1
            answer = case.call(headers={"Authorization": f"Bearer {TOKEN}"})
            documented = (
                answer.status_code == 503 and "503" in operation.definition.raw["responses"]
            )
            if answer.status_code >= 500 and not documented:
                wrong.append(f"{operation.method} {case.formatted_path}: {answer.status_code}")

        check()

    for found in schema.get_all_operations():
        assert isinstance(found, Ok), found
        look(found.ok())
    assert wrong == []
    assert tried > 100
