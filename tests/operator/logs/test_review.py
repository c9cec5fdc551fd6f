"""Suspicious patterns are found in nginx's logs, and ordinary traffic is not accused."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from mina_ops.cli import main
from mina_ops.errors import ConfigurationError
from mina_ops.operator.logs import lines as access_lines
from mina_ops.operator.logs.review import Review, review
from mina_ops.operator.system import times as moments

NOW = datetime(2025, 10, 25, 12, 0, tzinfo=UTC)
SINCE = NOW - timedelta(hours=2)


def line(
    request: str = "GET /api/sessions HTTP/1.1",
    status: int = 200,
    *,
    address: str = "10.0.0.1",
    minutes: float = 30,
    size: int = 512,
    agent: str = "Mozilla/5.0",
) -> str:
    at = NOW - timedelta(minutes=minutes)
    return (
        f'{address} - - [{at:%d/%b/%Y:%H:%M:%S +0000}] "{request}" {status} {size} "-" "{agent}" '
        "colour=green upstream=127.0.0.1:8001 upstream_status=200 time=0.01 request_id=a"
    )


def look(lines: list[str], audit: list[dict[str, str]] | None = None) -> Review:
    return review((access_lines.access(text) for text in lines), audit or [], SINCE, NOW)


def ordinary() -> list[str]:
    paths = ["/", "/live", "/api/sessions", "/api/sessions/17/segments", "/static/app.js"]
    return [
        line(f"GET {path} HTTP/1.1", address=f"10.0.{n % 8}.{n % 50}", minutes=n / 10)
        for n, path in enumerate(paths * 200)
    ]


def test_ordinary_traffic_is_not_accused() -> None:
    lines = ordinary() + [line("POST /api/auth/login HTTP/1.1", 401) for _ in range(3)]
    lines += [line(f"GET /missing{n} HTTP/1.1", 404) for n in range(5)]
    assert look(lines).suspicions == ()
    assert look(lines).as_text().endswith("No suspicious pattern.")


@pytest.mark.parametrize(
    ("pattern", "lines"),
    [
        ("path traversal", [line("GET /static/..%2f..%2fetc/passwd HTTP/1.1", 404)]),
        ("SQL injection", [line("GET /api/sessions?q=1+UNION+SELECT+password HTTP/1.1")]),
        ("script injection", [line("GET /?q=%3Cscript%3Ealert(1) HTTP/1.1")]),
        ("template or lookup injection", [line("GET /?q=${jndi:ldap://x} HTTP/1.1")]),
        ("secrets and foreign software", [line("GET /.env HTTP/1.1", 404)]),
        ("command injection", [line("GET /?q=;wget%20http://x HTTP/1.1")]),
        ("scanner", [line(agent="sqlmap/1.7")]),
        ("odd request", [line("TRACE / HTTP/1.1", 405)] * 3),
        ("odd request", [line("\\x16\\x03\\x01", 400)] * 3),
        ("access denied", [line("GET /admin/flags HTTP/1.1", 403)] * 10),
        ("paths that do not exist", [line(f"GET /x{n} HTTP/1.1", 404) for n in range(20)]),
        ("numbers tried one by one", [line(f"GET /api/sessions/{n} HTTP/1.1") for n in range(40)]),
        (
            "login after failures",
            [line("POST /api/auth/login HTTP/1.1", 401)] * 6
            + [line("POST /api/auth/login HTTP/1.1", 302)],
        ),
        ("large download", [line(size=200_000_000)]),
    ],
)
def test_pattern_is_found_at_its_address_among_ordinary_traffic(
    pattern: str, lines: list[str]
) -> None:
    attacker = [text.replace("10.0.0.1 ", "203.0.113.9 ", 1) for text in lines]
    found = {(item.pattern, item.address) for item in look(ordinary() + attacker).suspicions}
    assert (pattern, "203.0.113.9") in found
    assert {address for _, address in found} == {"203.0.113.9"}


def test_lines_before_since_are_left_out() -> None:
    assert look([line("GET /.env HTTP/1.1", 404, minutes=180)]).requests == 0


def test_admin_writes_and_audit_actors_are_listed() -> None:
    found = look(
        [line("POST /admin/flags HTTP/1.1", 200), line("GET /admin/flags HTTP/1.1", 200)],
        [{"actor": "token:ci"}, {"actor": "token:ci"}],
    )
    assert len(found.admin_actions) == 1
    assert found.audit == {"token:ci": 2}


def test_hole_in_a_busy_log_is_named() -> None:
    lines = [line(minutes=n / 2) for n in range(240) if not 100 < n < 160]
    assert len(look(lines).gaps) == 1
    assert look([line(minutes=n / 2) for n in range(240)]).gaps == ()


def test_control_characters_of_an_attacker_do_not_reach_the_terminal() -> None:
    (found,) = look([line("GET /.env\x1b[2J HTTP/1.1", 404)]).suspicions
    assert "\x1b" not in found.examples[0]


def test_memory_is_bounded_for_a_flood_of_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mina_ops.operator.logs.review._MOST_ADDRESSES", 100)
    lines = [line(f"GET /x{n} HTTP/1.1", 404, address=f"a{n}") for n in range(300)]
    assert look(lines).addresses == 100
    assert look(lines).requests == 300


@pytest.mark.parametrize(
    ("text", "hours"),
    [
        ("2 hours ago", 2),
        ("30 minutes ago", 0.5),
        ("1d", 24),
        ("yesterday", 24),
        ("1 week ago", 168),
    ],
)
def test_moment(text: str, hours: float) -> None:
    assert moments.moment(text, NOW) == NOW - timedelta(hours=hours)


@pytest.mark.parametrize("text", ["", "soon", "2 moons ago", "2099-01-01", "hours ago"])
def test_moment_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError):
        moments.moment(text, NOW)


def test_command_reads_rotated_logs_and_ends_with_11(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    at = f"{now:%d/%b/%Y:%H:%M:%S +0000}"
    attack = f'203.0.113.9 - - [{at}] "GET /.git/config HTTP/1.1" 404 0 "-" "x"\n'
    with gzip.open(tmp_path / "access.log.2.gz", "wt") as file:
        file.write(attack)
    (tmp_path / "access.log").write_text("this is no log line\n")
    (tmp_path / "app.log").write_text('INFO AUDIT {"actor": "user:1", "action": "flag.set"}\n')
    done = CliRunner().invoke(
        main,
        [
            *("incident", "logs", "--since", "2 hours ago", "--json"),
            *("--log", f"{tmp_path}/access.log*", "--audit-log", f"{tmp_path}/app.log"),
        ],
    )
    assert done.exit_code == 11
    value = json.loads(done.stdout)
    assert value["unreadable"] == 1
    assert value["audit"] == {"user:1": 1}
    assert value["suspicions"][0]["pattern"] == "secrets and foreign software"


def test_truncated_archive_and_missing_log_are_named(tmp_path: Path) -> None:
    whole = gzip.compress(line().encode() * 100)
    (tmp_path / "access.log.gz").write_bytes(whole[:-20])
    done = CliRunner().invoke(main, ["incident", "logs", "--log", f"{tmp_path}/access.log.gz"])
    assert done.exit_code == 2
    assert "is damaged" in done.stderr
    done = CliRunner().invoke(main, ["incident", "logs", "--log", f"{tmp_path}/none*"])
    assert done.exit_code == 2
    assert "No log matches" in done.stderr
