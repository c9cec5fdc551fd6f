from __future__ import annotations

import json
import time
import urllib.request
from typing import Any

import openai
import pytest

from mina_ops.demo.insights import Insights, InsightsFailed
from mina_ops.demo.openai_standin import OpenAIStandIn

MESSAGES: Any = [{"role": "user", "content": "we ship on Friday"}]


@pytest.fixture
def model(standin: OpenAIStandIn) -> Any:
    with openai.OpenAI(
        base_url=standin.base_url, api_key="demo", max_retries=0, timeout=30
    ) as client:
        yield client


def complete(client: openai.OpenAI) -> str | None:
    answer = client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
    return answer.choices[0].message.content


def test_the_real_client_lists_the_model(model: openai.OpenAI) -> None:
    assert [card.id for card in model.models.list()] == ["gpt-4o"]
    assert model.models.retrieve("gpt-4o").id == "gpt-4o"


def test_the_real_client_gets_an_answer_about_its_question(model: openai.OpenAI) -> None:
    assert complete(model) == "4 words were said. It began: we ship on Friday."


def test_the_streamed_answer_is_the_same(model: openai.OpenAI) -> None:
    stream = model.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True)
    parts = [chunk.choices[0].delta.content or "" for chunk in stream]
    assert len(parts) > 5
    assert "".join(parts).strip() == complete(model)


@pytest.mark.parametrize(
    ("mode", "error"),
    [
        ("401", openai.AuthenticationError),
        ("429", openai.RateLimitError),
        ("500", openai.InternalServerError),
    ],
)
def test_a_refusal_is_the_clients_own_error(
    model: openai.OpenAI, standin: OpenAIStandIn, mode: str, error: type[Exception]
) -> None:
    standin.behave(mode)
    with pytest.raises(error):
        complete(model)
    with pytest.raises(error):
        model.models.list()
    standin.behave("ok")
    assert complete(model)


def test_an_unknown_model_is_not_found(model: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError):
        model.chat.completions.create(model="gpt-0", messages=MESSAGES)


def test_slow_answers_late(model: openai.OpenAI, standin: OpenAIStandIn) -> None:
    standin.behave("slow", 0.3)
    began = time.monotonic()
    assert complete(model)
    assert time.monotonic() - began >= 0.3


def test_hang_says_nothing_until_the_mode_changes(
    model: openai.OpenAI, standin: OpenAIStandIn
) -> None:
    standin.behave("hang")
    with pytest.raises(openai.APITimeoutError):
        complete(model.with_options(timeout=0.3))
    standin.behave("ok")
    assert complete(model)


def test_the_mode_can_be_changed_over_http(model: openai.OpenAI, standin: OpenAIStandIn) -> None:
    url = standin.base_url.removesuffix("/v1") + "/control"
    body = json.dumps({"mode": "429"}).encode()
    with urllib.request.urlopen(urllib.request.Request(url, body)) as answer:
        assert json.load(answer)["mode"] == "429"
    with pytest.raises(openai.RateLimitError):
        complete(model)


def test_an_unknown_mode_is_refused_and_changes_nothing(
    model: openai.OpenAI, standin: OpenAIStandIn
) -> None:
    with pytest.raises(ValueError, match="sideways"):
        standin.behave("sideways")
    assert complete(model)


def test_insights_hide_which_error_it_was_from_callers_but_not_from_the_log(
    standin: OpenAIStandIn,
) -> None:
    insights = Insights(standin.base_url, "demo")
    assert "Ada: hello" in insights.summarise(["Ada: hello"])
    standin.behave("401")
    with pytest.raises(InsightsFailed) as caught:
        insights.summarise(["Ada: hello"])
    assert isinstance(caught.value.__cause__, openai.AuthenticationError)
    insights.client.close()
