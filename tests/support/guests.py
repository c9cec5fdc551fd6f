"""Flagger's webhook caller and Argo Rollouts' web metric, as their sources do it.

Both engines are programs for a cluster, which cannot run here. What they send and how they read
the answer is all that a server can see of them: Flagger's `CallWebhook`, Argo's `webmetric`
provider with its conditions, and Argo's rules of when an analysis ends.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import httpx

FLAGGER_SECONDS = 10.0
ARGO_SECONDS = 10.0


def flagger_calls(
    webhook: Mapping[str, Any], url: str, *, phase: str = "Progressing"
) -> tuple[bool, str]:
    """Call a webhook of a Canary at `url` instead of its own host: its yes or no, and the body."""
    payload = {
        "name": "mina",
        "namespace": "prod",
        "phase": phase,
        "checksum": "68fd68dd5f",
        "metadata": webhook.get("metadata") or {},
    }
    seconds = float(str(webhook.get("timeout", FLAGGER_SECONDS)).rstrip("s"))
    try:
        answer = httpx.post(
            url + re.sub(r"^https?://[^/]+", "", str(webhook["url"])),
            content=json.dumps(payload),
            headers={"Content-Type": "application/json", "User-Agent": "Go-http-client/1.1"},
            timeout=seconds,
        )
    except httpx.HTTPError as error:
        return False, str(error)
    return answer.status_code <= 202, answer.text


def argo_measures(
    metric: Mapping[str, Any], url: str, arguments: Mapping[str, str]
) -> tuple[str, Any]:
    """One measurement of a web metric, asked of `url` instead of its own host: phase and value."""
    web = metric["provider"]["web"]
    path = re.sub(r"^https?://[^/]+", "", str(web["url"]))
    headers = {one["key"]: _filled(one["value"], arguments) for one in web.get("headers", ())}
    body, method = web.get("jsonBody"), web.get("method", "GET")
    if body is not None and method == "GET":
        return "Error", "Body/JSONBody can only be used with POST or PUT WebMetric Method types"
    try:
        answer = httpx.request(
            method,
            url + _filled(path, arguments),
            headers=headers,
            json=body,
            timeout=float(web.get("timeoutSeconds", ARGO_SECONDS)),
        )
    except httpx.HTTPError as error:
        return "Error", str(error)
    if not 200 <= answer.status_code < 300:
        return "Error", f"received non 2xx response code: {answer.status_code}"
    try:
        found = json.loads(answer.content)
    except ValueError:
        # Whatever the conditions say: a page of somebody else's would be a success.
        return "Successful", answer.text
    try:
        value = _at(found, web.get("jsonPath") or "{$}")
    except (KeyError, TypeError) as error:
        return "Error", f"Could not find JSONPath in body: {error}"
    return _phase(metric, value), value


def argo_ends(metric: Mapping[str, Any], phases: Sequence[str]) -> str:
    """How an analysis of these measurements ends; "Running": it wants more of them."""
    counted = dict.fromkeys(("Successful", "Failed", "Inconclusive"), 0)
    errors = 0
    for phase in phases:
        errors = errors + 1 if phase == "Error" else 0
        if phase in counted:
            counted[phase] += 1
        # The last of those that are passed is what counts.
        if errors > metric.get("consecutiveErrorLimit", 4):
            return "Error"
        if counted["Inconclusive"] > metric.get("inconclusiveLimit", 0):
            return "Inconclusive"
        if counted["Failed"] > metric.get("failureLimit", 0):
            return "Failed"
        if sum(counted.values()) >= metric["count"]:
            return "Successful"
    return "Running"


def _filled(text: str, arguments: Mapping[str, str]) -> str:
    return re.sub(r"\{\{ *args\.([\w-]+) *\}\}", lambda found: arguments[found[1]], text)


def _at(body: Any, path: str) -> Any:
    """The value at a JSONPath of plain keys, as `{$.verdict}`."""
    keys = re.fullmatch(r"\{\$((?:\.\w+)*)\}", path)
    assert keys, path
    for key in keys[1].split(".")[1:]:
        body = body[key]
    return body


def _phase(metric: Mapping[str, Any], value: Any) -> str:
    """The conditions of ours are comparisons with one text, joined by `||`.

    With one condition alone, whatever does not meet it is the other one.
    """
    success, failure = (
        value in re.findall(r'result == "([^"]*)"', metric[name]) if metric.get(name) else None
        for name in ("successCondition", "failureCondition")
    )
    if failure if failure is not None else success is False:
        return "Failed"
    return "Successful" if success or success is None else "Inconclusive"
