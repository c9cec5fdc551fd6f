"""The endpoints: the playbook's bodies, statuses, and who sees what."""

from __future__ import annotations

import hashlib
import threading
from typing import Any

import pytest
from flask import Flask
from flask_login import LoginManager, UserMixin, login_user

from mina_ops.demo.openai_standin import OpenAIStandIn
from mina_ops.errors import ConfigurationError
from tests.app.health.conftest import MakeHost
from tests.support.wait import eventually

FIVE = ["database", "redis", "openai", "websockets", "disk_space"]
TOKEN = "a-token-of-some-length"
TOKENS = {
    f"MINA_OPS_{scope}_TOKENS": {"ci": hashlib.sha256(secret.encode()).hexdigest()}
    for scope, secret in (("ADMIN", TOKEN), ("READ", "reader"), ("DRAIN", "drainer"))
}


def _down() -> None:
    raise ConnectionRefusedError("db-7.internal:5432")


def test_the_overview_has_the_playbooks_keys_and_nothing_else(make_host: MakeHost) -> None:
    status, body = make_host(APP_VERSION="v2.5.0", ENVIRONMENT="green").started().get()
    assert status == 200
    assert list(body) == ["status", "version", "environment", "checks", "uptime_seconds"]
    assert (body["status"], body["version"], body["environment"]) == ("healthy", "v2.5.0", "green")
    assert list(body["checks"]) == FIVE
    assert body["uptime_seconds"] >= 0


def test_parts_that_the_host_does_not_use_are_disabled_and_do_not_count(
    make_host: MakeHost,
) -> None:
    host = make_host().started()
    checks = host.get()[1]["checks"]
    assert {name for name in FIVE if checks[name]["status"] == "disabled"} == set(FIVE[:3])
    assert host.get("/redis") == (200, {"status": "disabled", "store": "memory"})
    assert host.get("/db")[1] == {"status": "disabled"}


def test_a_failing_check_gives_503_degraded_and_retry_after(make_host: MakeHost) -> None:
    host = make_host()
    host.ops.health_check("queue")(_down)
    host.started()
    answer = host.client.get("/api/health")
    assert (answer.status_code, answer.json["status"]) == (503, "degraded")
    assert answer.json["checks"]["queue"]["status"] == "unhealthy"
    assert answer.json["checks"]["queue"]["error"] == "refused"
    assert answer.headers["Retry-After"] == "1"
    assert host.client.get("/api/health/queue").status_code == 503
    assert host.get("/ready") == (
        503,
        {
            "status": "not_ready",
            "version": "unknown",
            "environment": "production",
            "reasons": ["queue"],
        },
    )


@pytest.mark.parametrize("how", ["setting", "decorator"])
def test_a_soft_failure_gives_200_degraded(make_host: MakeHost, how: str) -> None:
    host = make_host(MINA_OPS_SOFT_CHECKS="queue" if how == "setting" else "")
    host.ops.health_check("queue", critical=how == "setting")(_down)
    status, body = host.started().get()
    assert (status, body["status"]) == (200, "degraded")
    assert host.get("/ready")[0] == 200


def test_live_asks_nothing(make_host: MakeHost) -> None:
    host = make_host()
    host.ops.health_check("queue")(_down)
    assert host.get("/live")[1]["status"] == "alive"


def test_before_its_first_results_it_is_neither_started_nor_ready_nor_healthy(
    make_host: MakeHost,
) -> None:
    host, released = make_host(), threading.Event()
    host.ops.health_check("slow", deadline=60.0)(lambda: released.wait(60))
    assert host.get("/started")[0] == 503
    eventually(lambda: host.get("/started")[1]["waiting"] == ["slow"])
    eventually(lambda: host.get("/ready")[1]["reasons"] == ["starting"])
    status, body = host.get()
    assert (status, body["checks"]["slow"]["status"]) == (503, "unknown")
    released.set()
    eventually(lambda: host.get()[0] == 200)
    eventually(lambda: host.get("/ready")[0] == 200)


def test_a_request_never_waits_for_a_check(make_host: MakeHost) -> None:
    host, released = make_host(), threading.Event()
    host.ops.health_check("hung", deadline=60.0)(lambda: released.wait(60))
    for path in ("", "/ready", "/hung", "/live", "/started"):
        host.get(path)
    # It neither ended nor was given up, so nobody waited for either.
    assert host.get("/hung")[1]["status"] == "unknown"
    released.set()


def test_health_comes_back_by_itself(make_host: MakeHost) -> None:
    host, faults = make_host(), [True]
    host.ops.health_check("queue", ttl=0.05)(lambda: not faults)
    host.started()
    assert host.get()[0] == 503
    faults.clear()
    eventually(lambda: host.get()[0] == 200)


def test_own_checks_run_in_an_app_context_and_may_tell_something(make_host: MakeHost) -> None:
    host = make_host(TENANT="acme")

    @host.ops.health_check("tenant")
    def _tenant() -> dict[str, Any]:
        from flask import current_app

        return {"tenant": current_app.config["TENANT"]}

    host.started()
    assert host.get("/tenant")[1]["tenant"] == "acme"


def test_a_check_may_be_declared_before_the_app_exists() -> None:
    from mina_ops import MinaOps

    ops = MinaOps()
    ops.health_check("early")(lambda: None)
    app = Flask(__name__)
    ops.init_app(app)
    try:
        eventually(lambda: app.test_client().get("/api/health/early").status_code == 200)
    finally:
        app.extensions["mina_ops"].heartbeat.stop()


@pytest.mark.parametrize("name", ["database", "db", "ready", "No Good"])
def test_an_own_check_cannot_take_a_taken_or_bad_name(make_host: MakeHost, name: str) -> None:
    with pytest.raises(ValueError, match=r"already|cannot name"):
        make_host().ops.health_check(name)(lambda: None)


def test_an_unknown_check_is_404_with_the_known_ones(make_host: MakeHost) -> None:
    status, body = make_host().started().get("/nope")
    assert (status, body["code"]) == (404, "not_found")
    assert "disk_space" in body["detail"]


@pytest.mark.parametrize("path", ["", "/", "/ready", "/db", "/disk/", "/live", "/started"])
def test_head_has_the_headers_of_get_and_no_body(make_host: MakeHost, path: str) -> None:
    host = make_host(ENVIRONMENT="green", APP_VERSION="v9").started()
    get, head = (call(f"/api/health{path}") for call in (host.client.get, host.client.head))
    assert (head.status_code, head.data) == (get.status_code, b"")
    for name, value in (
        ("Cache-Control", "no-store"),
        ("X-Content-Type-Options", "nosniff"),
        ("X-Mina-Environment", "green"),
        ("X-Mina-Version", "v9"),
        ("Content-Type", "application/json"),
    ):
        assert head.headers[name] == get.headers[name] == value


def test_other_methods_are_405_with_allow(make_host: MakeHost) -> None:
    answer = make_host().client.post("/api/health")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, HEAD, OPTIONS")


def test_excluded_checks_are_neither_shown_nor_counted(make_host: MakeHost) -> None:
    host = make_host()
    for name in ("queue", "mail"):
        host.ops.health_check(name)(_down)
    host.started()
    assert host.get("?exclude=queue")[0] == 503
    for query in ("?exclude=queue&exclude=mail", "?exclude=queue,mail"):
        status, body = host.get(query)
        assert (status, body["status"], list(body["checks"])) == (200, "healthy", FIVE)
    assert host.get("?exclude=nope&verbose")[1]["warnings"] == ["cannot exclude 'nope': unknown"]


def test_a_group_shows_and_counts_its_checks_alone(make_host: MakeHost) -> None:
    host = make_host()
    host.ops.health_check("mixer", groups=["audio"])(lambda: None)
    host.ops.health_check("queue")(_down)
    host.started()
    status, body = host.get("?group=audio")
    assert (status, list(body["checks"])) == (200, ["mixer"])
    assert host.get("?group=nope")[0] == 404


def test_a_draining_process_is_not_ready_and_still_alive(make_host: MakeHost) -> None:
    host = make_host(**TOKENS).started()
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    assert host.client.post("/admin/drain", headers=bearer).status_code == 202
    eventually(lambda: host.get("/ready")[0] == 503)
    assert host.get("/ready")[1]["reasons"][0] in ("draining", "drained")
    assert host.get("/live")[0] == 200
    assert host.get()[0] == 200
    assert host.get("?verbose")[1]["drain"] in ("draining", "drained")
    assert host.client.delete("/admin/drain", headers=bearer).status_code == 200
    eventually(lambda: host.get("/ready")[0] == 200)


def test_the_ietfs_form_is_served_to_who_accepts_it(make_host: MakeHost) -> None:
    host = make_host(ENVIRONMENT="green", APP_VERSION="v9")
    host.ops.health_check("queue")(_down)
    host.ops.health_check("mail", critical=False)(_down)
    host.started()
    answer = host.client.get("/api/health", headers={"Accept": "application/health+json"})
    assert answer.content_type == "application/health+json"
    assert answer.headers["Vary"] == "Accept"
    body = answer.get_json(force=True)
    assert (answer.status_code, body["status"]) == (503, "fail")
    assert (body["releaseId"], body["serviceId"]) == ("v9", "green")
    (queue,) = body["checks"]["queue:responseTime"]
    assert (queue["status"], queue["observedUnit"]) == ("fail", "ms")
    assert queue["output"].startswith("refused")
    assert body["checks"]["mail:responseTime"][0]["status"] == "warn"
    assert "output" not in body["checks"]["websockets:responseTime"][0]
    assert "database:responseTime" not in body["checks"]
    exclude = host.client.get(
        "/api/health?exclude=queue", headers={"Accept": "application/health+json"}
    )
    assert (exclude.status_code, exclude.get_json(force=True)["status"]) == (200, "warn")


def _login(app: Flask) -> None:
    class User(UserMixin):  # type: ignore[misc]
        def __init__(self, name: str) -> None:
            self.id = name
            self.is_admin = name == "admin"

    manager = LoginManager(app)
    manager.user_loader(User)

    @app.get("/login/<name>")
    def _in(name: str) -> str:
        login_user(User(name))
        return "in"


@pytest.mark.parametrize(
    ("headers", "login", "query", "sees"),
    [
        ({}, None, "?verbose", False),
        ({"Authorization": f"Bearer {TOKEN}"}, None, "?verbose", True),
        ({"Authorization": f"Bearer {TOKEN}"}, None, "", True),
        ({"Authorization": "Bearer reader"}, None, "?verbose", True),
        ({"Authorization": "Bearer drainer"}, None, "?verbose", False),
        ({"Authorization": "Bearer of something else"}, None, "?verbose", False),
        ({"Authorization": "Basic x"}, None, "?verbose", False),
        ({}, "admin", "?verbose", True),
        ({}, "admin", "", False),
        ({}, "someone", "?verbose", False),
    ],
)
def test_only_admins_see_an_errors_text(
    make_host: MakeHost, headers: dict[str, str], login: str | None, query: str, sees: bool
) -> None:
    host = make_host(prepare=_login, **TOKENS)
    host.ops.health_check("queue")(_down)
    host.started()
    if login:
        host.client.get(f"/login/{login}")
    for path in ("", "/queue"):
        answer = host.client.get(f"/api/health{path}{query}", headers=headers)
        assert answer.status_code == 503
        assert ("db-7.internal" in answer.text) is sees
        assert "correlation_id" in answer.text


def test_verbose_tells_how_each_check_is_run(make_host: MakeHost) -> None:
    body = make_host().started().get("?verbose")[1]
    disk = body["checks"]["disk_space"]
    assert disk["critical"] is True
    assert disk["runs"] >= 1
    assert {"deadline_seconds", "ttl_seconds", "failures", "abandoned_runs"} <= set(disk)
    assert (body["drain"], body["started"]) == ("serving", True)
    assert "migrations" in body["checks"]


def test_a_user_loader_that_fails_hides_detail_and_breaks_nothing(make_host: MakeHost) -> None:
    def prepare(app: Flask) -> None:
        _login(app)
        app.login_manager.user_loader(lambda _: 1 / 0)

    host = make_host(prepare=prepare)
    host.ops.health_check("queue")(_down)
    host.started()
    with host.client.session_transaction() as session:
        session["_user_id"] = "admin"
    answer = host.client.get("/api/health?verbose")
    assert (answer.status_code, "db-7.internal" in answer.text) == (503, False)


def test_a_rule_that_no_state_could_turn_by_is_refused_by_name(make_host: MakeHost) -> None:
    with pytest.raises(ConfigurationError, match="MINA_OPS_HEALTH_NEEDED"):
        make_host(MINA_OPS_HEALTH_NEEDED=4, MINA_OPS_HEALTH_WINDOW=3)


def test_settings_that_name_no_check_are_told(
    make_host: MakeHost, caplog: pytest.LogCaptureFixture
) -> None:
    make_host(MINA_OPS_SOFT_CHECKS="databse").started()
    assert "databse" in caplog.text


def test_outcomes_that_the_app_tells_of_its_ai_calls_judge_the_service(make_host: MakeHost) -> None:
    with OpenAIStandIn() as standin:
        host = make_host(OPENAI_API_KEY="k", OPENAI_BASE_URL=standin.base_url).started()
        assert host.get("/openai")[1]["source"] == "models"
        for _ in range(3):
            host.ops.outcome("ai_insights").failure()
        eventually(lambda: host.get("/openai")[1]["status"] == "unavailable")
        assert host.get("/openai")[1]["source"] == "calls"
        with host.ops.outcome("ai_insights"):
            pass
        eventually(lambda: host.get("/openai")[1]["status"] == "available")
