"""Summaries of conversations, written by a language model through the `openai` client."""

from __future__ import annotations

from collections.abc import Sequence

from openai import OpenAI, OpenAIError

MODEL = "gpt-4o"
TIMEOUT_SECONDS = 10.0

_INSTRUCTION = "Summarise this conversation in two sentences and name its open tasks."


class InsightsFailed(Exception):
    """The model gave no summary; the cause is the `openai` client's error."""


class Insights:
    """Asks the model; one client, and so one connection pool, for each app."""

    def __init__(self, base_url: str | None, api_key: str) -> None:
        self.client = OpenAI(
            base_url=base_url, api_key=api_key, timeout=TIMEOUT_SECONDS, max_retries=1
        )

    def summarise(self, lines: Sequence[str]) -> str:
        """A summary of the conversation's lines; blocks up to 21 s.

        Raises:
            InsightsFailed: the service refused, failed, did not answer or said nothing.
        """
        transcript = "\n".join(lines) or "(nobody said anything)"
        try:
            answer = self.client.chat.completions.create(
                model=MODEL,
                messages=[
                    {"role": "system", "content": _INSTRUCTION},
                    {"role": "user", "content": transcript},
                ],
            )
        except OpenAIError as exc:
            raise InsightsFailed(type(exc).__name__) from exc
        text = answer.choices[0].message.content if answer.choices else None
        if not text:
            raise InsightsFailed("the answer is empty")
        return text
