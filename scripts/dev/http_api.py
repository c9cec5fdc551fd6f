#!/usr/bin/env python3
"""Write docs/http-api.md: runs the demo app, asks every endpoint, and records what it answered.

    .venv/bin/python scripts/dev/http_api.py [--output docs/http-api.md]

Every operation of the OpenAPI document must be asked; one that was forgotten is an error. Process
names and ports of the run are replaced, so that the page shows no machine.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx

from mina_ops.demo import stage
from mina_ops.demo.processes import Server
from mina_ops.demo.servers import start_gunicorn, start_redis

ROOT = Path(__file__).parents[2]
TOKEN = "$ADMIN_TOKEN"  # noqa: S105 - what the page shows in its place
SHOWN_HEADERS = ("Retry-After", "ETag", "WWW-Authenticate", "Allow")
LONGEST_BODY = 1800

INTRODUCTION = """\
# HTTP endpoints

<!-- no block is run: scripts/dev/http_api.py -->

Recorded from the running demo by `scripts/dev/http_api.py`; the contract in full is served at
`/admin/openapi.json` (OpenAPI 3.1).

- Every answer has `Cache-Control: no-store` (flags: `private, no-cache`),
  `X-Content-Type-Options: nosniff`, `X-Mina-Environment` and `X-Mina-Version`.
- Errors are `application/problem+json` (RFC 9457). GET endpoints answer HEAD.
- Rates are percent. What has no data is `null`, with `samples` 0.
- Bodies are read as JSON whatever their content type says, as curl sends them as a form.
- Health, metrics and Prometheus are answered below Flask: no login, limiter, CSRF guard or redirect
  of the host reaches them.
- `/admin/*` wants a logged-in admin or a bearer token, else 401 or 403. A request with a token of
  ours is answered below Flask as well, so no wall of the host stands before it; one with a cookie
  goes through the host's app.
- Clashes: where the host has a route at a path of ours, `/admin/clashes`, the log and `mina-ops
  doctor` name it. Probes win over the host's route, except on the default `/metrics`, which stays
  the host's until `MINA_OPS_PROMETHEUS_PATH` is set; names below `/api/health/` that are no check
  are the host's; of two Flask routes the one that was registered first answers those without a
  token.
"""

_RELEASES, _RELEASE = "/admin/releases/{release_id}", "/admin/releases/20261129-120000-v2.5.0"
_REPORT = {
    "version": "v2.5.0", "from": "blue", "to": "green", "phase": "switch", "percent": 25,
    "ended": False, "who": "ops", "host": "deploy-1", "reasons": [],
}  # fmt: skip
_LEASES, _LEASE = "/admin/leases/{name}", "/admin/leases/traffic"
_HOLDER = {"id": "4be0643f1d98", "purpose": "switch", "user": "ana", "host": "ops-1", "pid": 4711}


@dataclass
class Step:
    """One request of the page; `operation` names the path of the OpenAPI document."""

    method: str
    path: str
    operation: str
    body: Any = None
    token: bool = False
    headers: dict[str, str] = field(default_factory=dict)
    note: str = ""


def steps() -> list[Step]:
    """What is asked, in the order of the page; later requests build on earlier ones."""
    found = [
        Step("GET", "/api/health", "/api/health"),
        Step("GET", "/api/health", "/api/health",
             headers={"Accept": "application/health+json"}, note="The IETF draft's form:"),
        Step("GET", "/api/health?verbose&exclude=openai", "/api/health", token=True,
             note="Verbose, without a check, as an admin:"),
    ]  # fmt: skip
    names = ("live", "ready", "started", "db", "redis", "openai", "websockets", "disk")
    found += [Step("GET", f"/api/health/{name}", f"/api/health/{name}") for name in names]
    found += [
        Step("GET", "/api/health/migrations", "/api/health/migrations"),
        Step("GET", "/api/health/chunk_ledger", "/api/health/{check}"),
        Step("GET", "/api/health/nothing", "/api/health/{check}", note="A name that is unknown:"),
    ]
    figures: tuple[str, ...] = (
        "connections",
        "errors",
        "performance",
        "histogram",
        "websockets",
        "sessions/active",
    )
    figures += ("transcriptions/completion_rate", "ai/insights_success_rate")
    found += [Step("GET", f"/api/metrics/{name}", f"/api/metrics/{name}") for name in figures]
    found += [
        Step("GET", "/api/metrics/errors?environment=green&window=60", "/api/metrics/errors",
             note="The other colour, another window:"),
        Step("GET", "/api/metrics/errors?window=0", "/api/metrics/errors",
             note="A value that is out of range:"),
        Step("GET", "/api/metrics/outcomes/transcription", "/api/metrics/outcomes/{name}"),
        Step("GET", "/metrics", "/metrics"),
        *_flags(),
        Step("POST", "/admin/drain", "/admin/drain", {"grace_seconds": 30}, token=True),
        Step("GET", "/admin/drain", "/admin/drain", token=True),
        Step("GET", "/api/health/ready", "/api/health/ready", note="While it drains:"),
        Step("DELETE", "/admin/drain", "/admin/drain", token=True),
        Step("POST", _LEASE, _LEASES, _HOLDER, token=True),
        Step("POST", _LEASE, _LEASES, {**_HOLDER, "id": "9c1f5f1e0d7b"}, token=True,
             note="Somebody else, meanwhile:"),
        Step("GET", _LEASE, _LEASES, token=True),
        Step("PUT", _LEASE, _LEASES, {"id": _HOLDER["id"], "ttl_seconds": 60}, token=True),
        Step("DELETE", f"{_LEASE}?id={_HOLDER['id']}", _LEASES, token=True),
        Step("PUT", _RELEASE, _RELEASES, _REPORT, token=True),
        Step("PUT", _RELEASE, _RELEASES, {"request": {"kind": "abort", "why": "users wait"}},
             token=True, note="Somebody asks the controller, which reads it in its next answer:"),
        Step("GET", _RELEASE, _RELEASES, token=True),
        Step("GET", "/admin/releases", "/admin/releases", token=True),
        Step("PUT", "/admin/freeze", "/admin/freeze", {"why": "a migration failed"}, token=True),
        Step("GET", "/admin/freeze", "/admin/freeze", token=True),
        Step("DELETE", "/admin/freeze", "/admin/freeze", token=True),
        *_tokens(),
        Step("GET", "/admin/audit?limit=2", "/admin/audit", token=True),
        Step("GET", "/admin/audit", "/admin/audit", note="Without a token:"),
        Step("GET", "/admin/clashes", "/admin/clashes", token=True),
        Step("GET", "/admin/openapi.json", "/admin/openapi.json"),
    ]  # fmt: skip
    return found


def _flags() -> Iterator[Step]:
    key, one, several = "enable_audio_replay", "/admin/flags/{key}", "/admin/flags/-"
    made = {"key": key, "enabled": True, "rollout_percent": 25, "release": "v2.5.0"}
    yield Step("POST", "/admin/flags", "/admin/flags", made, token=True)
    yield Step("POST", "/admin/flags", "/admin/flags", {"key": key, "enabled": False}, token=True,
               note="Off again; waits until every process has applied it:")  # fmt: skip
    yield Step("GET", "/admin/flags", "/admin/flags", token=True)
    yield Step("GET", f"/admin/flags/{key}", one, token=True)
    yield Step("GET", f"/admin/flags/{key}/history?limit=1", f"{one}/history", token=True)
    yield Step("POST", f"/admin/flags/{key}/undo", f"{one}/undo", token=True)
    yield Step("GET", "/api/flags", "/api/flags")
    yield Step("POST", f"{several}/disable-for-release", f"{several}/disable-for-release",
               {"release": "v2.5.0"}, token=True)  # fmt: skip
    yield Step("GET", f"{several}/history?limit=1", f"{several}/history", token=True)
    yield Step("POST", f"{several}/undo", f"{several}/undo", {"change": "$LAST"}, token=True)
    yield Step("GET", f"{several}/export", f"{several}/export", token=True)
    yield Step("POST", f"{several}/import", f"{several}/import",
               {"flags": [{"key": "new_editor", "enabled": True}]}, token=True)  # fmt: skip
    yield Step("GET", f"{several}/report", f"{several}/report", token=True)
    yield Step(
        "POST", f"{several}/recover", f"{several}/recover", {"action": "discard"}, token=True
    )
    yield Step("DELETE", "/admin/flags/new_editor", one, token=True)


def _tokens() -> Iterator[Step]:
    wanted = {"name": "ci", "scopes": ["drain"], "expires_seconds": 2592000}
    yield Step("POST", "/admin/tokens", "/admin/tokens", wanted, token=True)
    yield Step("GET", "/admin/tokens", "/admin/tokens", token=True)
    one = "/admin/tokens/{token_id}"
    yield Step("POST", "/admin/tokens/$TOKEN/rotate", f"{one}/rotate",
               {"overlap_seconds": 86400}, token=True)  # fmt: skip
    yield Step("DELETE", "/admin/tokens/$TOKEN", one, token=True)


def main() -> int:
    """Run the demo, ask, write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "http-api.md")
    output: Path = parser.parse_args().output
    with tempfile.TemporaryDirectory() as folder, _demo(Path(folder)) as (server, keys):
        page = record(server, keys)
    output.write_text(page)
    return 0


@contextmanager
def _demo(folder: Path) -> Iterator[tuple[Server, stage.Keys]]:
    keys = stage.Keys()
    with ExitStack() as running:
        redis = running.enter_context(start_redis(folder / "redis"))
        standin = running.enter_context(stage.start_standin(folder / "openai"))
        shared = stage.app_environment(folder, keys, standin, redis)
        stage.prepare_database(folder, shared, keys)
        names = {"ENVIRONMENT": "blue", "APP_VERSION": "v2.4.5"}
        environment = {**shared, **names}
        server = running.enter_context(start_gunicorn(folder, stage.APP, environment=environment))
        yield server, keys


def record(server: Server, keys: stage.Keys) -> str:
    """The page: one section for each operation of the document."""
    with httpx.Client(base_url=server.url, timeout=30) as client:
        _warm_up(client, keys)
        document = client.get("/admin/openapi.json").json()
        sections: dict[tuple[str, str], list[str]] = {}
        seen = {"$LAST": "", "$TOKEN": ""}
        for step in steps():
            step = _filled(step, seen)
            answer = _ask(client, step, keys)
            if "/history" in step.path:
                seen["$LAST"] = answer.json()["changes"][0]["id"]
            if answer.status_code == 201 and "made" in answer.json():
                seen["$TOKEN"] = answer.json()["made"]["id"]
            shown = _shown(step, answer)
            sections.setdefault((step.method, step.operation), []).append(shown)
    _refuse_gaps(document, sections)
    parts = [INTRODUCTION]
    for (method, path), recorded in sections.items():
        operation = document["paths"][path][method.lower()]
        statuses = ", ".join(f"`{status}`" for status in sorted(operation["responses"]))
        parts.append(f"## {method} {path}\n\n{operation['summary']} Statuses: {statuses}.\n")
        parts += recorded
    return "\n".join(parts)


def _warm_up(client: httpx.Client, keys: stage.Keys) -> None:
    """Some life, so that figures are not all null."""
    deadline = time.monotonic() + 20
    while client.get("/api/health").status_code != 200:
        if time.monotonic() > deadline:
            raise SystemExit("The demo did not get healthy.")
        time.sleep(0.1)
    bearer = {"Authorization": f"Bearer {keys.test_token}"}
    for number in range(5):
        made = client.post("/api/sessions", json={"title": f"Talk {number}"}, headers=bearer).json()
        path = f"/api/sessions/{made['session_id']}"
        client.post(f"{path}/segments", json={"text": "hello", "speaker": "A"}, headers=bearer)
        client.post(f"{path}/finalize", headers=bearer)
    time.sleep(2.5)  # until the figures of these have been flushed and read


def _filled(step: Step, seen: dict[str, str]) -> Step:
    """The step with what earlier answers said, where it stands for that."""
    path, body = step.path, json.dumps(step.body)
    for name, value in seen.items():
        path, body = path.replace(name, value), body.replace(name, value)
    return replace(step, path=path, body=json.loads(body))


def _ask(client: httpx.Client, step: Step, keys: stage.Keys) -> httpx.Response:
    headers = dict(step.headers)
    if step.token:
        headers["Authorization"] = f"Bearer {keys.admin_token}"
    answer = client.request(step.method, step.path, json=step.body, headers=headers)
    if answer.status_code >= 500 and answer.status_code != 503:
        raise SystemExit(f"{step.method} {step.path} answered {answer.status_code}: {answer.text}")
    return answer


def _shown(step: Step, answer: httpx.Response) -> str:
    lines = [f"curl {'' if step.method == 'GET' else f'-X {step.method} '}$URL{step.path}"]
    lines += [f'-H "Authorization: Bearer {TOKEN}"'] if step.token else []
    lines += [f"-H '{name}: {value}'" for name, value in step.headers.items()]
    if step.body is not None:
        lines.append(f"-d '{json.dumps(step.body)}'")
    head = [f"HTTP/1.1 {answer.status_code} {answer.reason_phrase}"]
    head.append(f"Content-Type: {answer.headers.get('Content-Type', '')}")
    head += [f"{n}: {answer.headers[n]}" for n in SHOWN_HEADERS if n in answer.headers]
    text = _without_machine(_body(answer))
    note = f"{step.note}\n\n" if step.note else ""
    request = " \\\n  ".join(lines)
    told = "\n".join(head)
    return f"{note}```sh\n{request}\n```\n\n```http\n{told}\n\n{text}\n```\n"


def _body(answer: httpx.Response) -> str:
    if "json" in answer.headers.get("Content-Type", ""):
        text = json.dumps(answer.json(), indent=2)
        # Short lists and objects on one line are easier to read.
        text = re.sub(r"[\[{]\n\s+([^\[\]{}]{0,80}?)\n\s+[\]}]", _on_one_line, text)
    else:
        text = answer.text
    text = text.strip()
    return (
        text if len(text) <= LONGEST_BODY else f"{text[:LONGEST_BODY].rsplit(chr(10), 1)[0]}\n..."
    )


def _on_one_line(match: re.Match[str]) -> str:
    whole = match.group(0)
    inner = " ".join(line.strip() for line in match.group(1).split("\n"))
    return f"{whole[0]}{inner}{whole[-1]}"


def _without_machine(text: str) -> str:
    text = re.sub(r"mina_[A-Za-z0-9_-]{43}", "mina_...", text)
    return re.sub(r"[A-Za-z0-9.-]+:0:\d+", "host-1:0:4711", text)


def _refuse_gaps(document: dict[str, Any], asked: dict[tuple[str, str], list[str]]) -> None:
    known = {(m.upper(), path) for path, methods in document["paths"].items() for m in methods}
    if known != set(asked):
        raise SystemExit(f"Not asked, or not in the document: {sorted(known ^ set(asked))}")


if __name__ == "__main__":
    sys.exit(main())
