"""Flagger's webhook caller and Argo Rollouts' web metric, as their sources do it.

Both engines are programs for a cluster, which cannot run here. What they send and how they read
the answer is all that a server can see of them: Flagger's `CallWebhook`, Argo's `webmetric`
provider with its conditions, and Argo's rules of when an analysis ends. They are here twice: in
Python, and in Go with the libraries that both engines are made of (`guests.go`).
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import httpx

Json = Mapping[str, Any]
_TIMEOUT = "10s"


class Guests(Protocol):
    """Whoever asks a judge, at `url` instead of the host that the manifest names."""

    def flagger(self, webhook: Json, url: str) -> tuple[bool, str]:
        """Call a webhook of a Canary: its yes or no, and the body or what went wrong."""

    def argo(self, metric: Json, url: str, arguments: Mapping[str, str]) -> tuple[str, Any]:
        """One measurement of a web metric: phase, and value or what went wrong."""


class InPython:
    """By what their sources say."""

    def flagger(self, webhook: Json, url: str) -> tuple[bool, str]:
        try:
            answer = httpx.post(
                url + _path(webhook),
                content=_payload(webhook),
                headers={"Content-Type": "application/json", "User-Agent": "Go-http-client/1.1"},
                timeout=float(webhook.get("timeout", _TIMEOUT).rstrip("s")),
            )
        except httpx.HTTPError as error:
            return False, str(error)
        return answer.status_code <= 202, answer.text

    def argo(self, metric: Json, url: str, arguments: Mapping[str, str]) -> tuple[str, Any]:
        web = _filled(metric, url, arguments)["provider"]["web"]
        body, method = web.get("jsonBody"), web.get("method", "GET")
        if body is not None and method == "GET":
            return "Error", "a body needs POST or PUT"
        try:
            answer = httpx.request(
                method,
                web["url"],
                headers={one["key"]: one["value"] for one in web.get("headers", ())},
                json=body,
                timeout=float(web.get("timeoutSeconds", 10)),
            )
        except httpx.HTTPError as error:
            return "Error", str(error)
        if not answer.is_success:
            return "Error", f"received non 2xx response code: {answer.status_code}"
        try:
            found = json.loads(answer.content)
        except ValueError:
            # Whatever the conditions say: a page of somebody else's would be a success.
            return "Successful", answer.text
        try:
            value = _at(found, web.get("jsonPath") or "{$}")
        except (KeyError, TypeError) as error:
            return "Error", f"nothing at that path: {error}"
        return _phase(metric, value), value


class InGo:
    """By their libraries; `program` is what `scripts/dev/kubernetes` made of `guests.go`."""

    def __init__(self, program: Path) -> None:
        self._program = program

    def flagger(self, webhook: Json, url: str) -> tuple[bool, str]:
        where = url + _path(webhook)
        told = self._run("flagger", where, webhook.get("timeout", _TIMEOUT), of=_payload(webhook))
        return told["yes"], told["said"]

    def argo(self, metric: Json, url: str, arguments: Mapping[str, str]) -> tuple[str, Any]:
        told = self._run("argo", of=json.dumps(_filled(metric, url, arguments)))
        return told["phase"], told["value"]

    def _run(self, *arguments: str, of: str) -> dict[str, Any]:
        argv = [str(self._program), *arguments]
        done = subprocess.run(argv, input=of, capture_output=True, text=True, check=True)
        return dict(json.loads(done.stdout))


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


def _path(asked: Json) -> str:
    return re.sub(r"^https?://[^/]+", "", str(asked["url"]))


def _payload(webhook: Json) -> str:
    body = {"name": "mina", "namespace": "prod", "phase": "Progressing", "checksum": "68fd68dd5f"}
    return json.dumps({**body, "metadata": webhook.get("metadata") or {}})


def _filled(metric: Json, url: str, arguments: Mapping[str, str]) -> dict[str, Any]:
    """The metric with its arguments in the places that name them."""
    pattern = r"\{\{ *args\.([\w-]+) *\}\}"
    web = dict(metric["provider"]["web"])
    web["url"] = url + re.sub(pattern, lambda found: arguments[found[1]], _path(web))
    web["headers"] = [
        {**one, "value": re.sub(pattern, lambda found: arguments[found[1]], one["value"])}
        for one in web.get("headers", ())
    ]
    return {**metric, "provider": {"web": web}}


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
