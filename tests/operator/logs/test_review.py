"""Suspicious patterns are found in nginx's logs, and ordinary traffic is not accused."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

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
    assert look(lines).to_text().endswith("No suspicious pattern.")


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


def command(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["incident", "logs", *arguments])


def attack(form: str, at: datetime) -> str:
    """The same request, an SQL injection, as each server logs it."""
    day, path = f"{at:%d/%b/%Y:%H:%M:%S}", "/api/sessions?id=1%20union%20select%20password"
    request = f"GET {path} HTTP/1.1"
    fields = {"remote_addr": "203.0.113.9", "time_iso8601": at.isoformat(), "request": request,
              "status": "200", "body_bytes_sent": "12", "http_user_agent": "x"}  # fmt: skip
    caddy = {
        "ts": at.timestamp(),
        "request": {"remote_ip": "203.0.113.9", "method": "GET", "uri": path,
                    "headers": {"User-Agent": ["x"]}},
        "status": 200,
        "size": 12,
    }  # fmt: skip
    local = f"{at.astimezone():%d/%b/%Y:%H:%M:%S}.123"
    timers = "10/0/30/69/109 200 2750 - - ---- 1/1/1/1/0 0/0"
    return {
        "combined": f'203.0.113.9 - - [{day} +0000] "{request}" 200 12 "-" "x"',
        "virtual host": f'mina.org:443 203.0.113.9 - - [{day} +0000] "{request}" 200 12 "-" "x"',
        "gunicorn": f'203.0.113.9 - - [{day} +0000] "{request}" 200 - "-" "x"',
        "JSON": json.dumps(fields),
        "JSON of Caddy": json.dumps(caddy),
        "JSON behind syslog": f"Oct 25 11:00:00 lb nginx: {json.dumps(fields)}",
        "HAProxy httplog": f"Oct 25 11:00:00 lb haproxy[14389]: 203.0.113.9:33317 [{local}] "
        f'http-in static/srv1 {timers} {{1wt.eu}} {{}} "{request}"',
        "HAProxy without syslog": f'203.0.113.9:33 [{local}] in app/<NOSRV> {timers} "{request}"',
        "HAProxy httpslog": f"<134>Oct 25 11:00:00 haproxy[1]: 203.0.113.9:333 [{local}] in~ app/a "
        f'{timers} "{request}" 0/0000000000000000/0/0/0 mina/TLSv1.3/TLS_AES',
        "our own": f"[{at.astimezone():%Y-%m-%d %H:%M:%S}] REQUEST GET /.env user_id=7",
        "a copy": f"[{at.astimezone():%Y-%m-%d %H:%M:%S}] REQUEST GET /.env user_id=7 shadow=1",
    }[form]  # fmt: skip


@pytest.mark.parametrize(
    "form",
    [
        *("combined", "virtual host", "gunicorn", "JSON", "JSON of Caddy", "JSON behind syslog"),
        *("HAProxy httplog", "HAProxy without syslog", "HAProxy httpslog", "our own"),
    ],
)
def test_an_attack_is_found_in_every_known_form(tmp_path: Path, form: str) -> None:
    now = datetime.now(UTC) - timedelta(minutes=5)
    (tmp_path / "log").write_text(f"{attack(form, now)}\n" * 200)
    done = command("--log", str(tmp_path / "log"), "--json")
    assert done.exit_code == 11
    value = json.loads(done.stdout)
    assert (value["requests"], value["unreadable"]) == (200, 0)
    (found,) = value["suspicions"]
    assert found["count"] == 200
    assert found["address"] == ("user 7" if form == "our own" else "203.0.113.9")
    wanted = "secrets and foreign software" if form == "our own" else "SQL injection"
    assert found["pattern"] == wanted


@pytest.mark.parametrize("text", ["this is no log line", "[1] {not json", '{"a": 1}'])
def test_unreadable_lines_are_never_no_suspicious_pattern(tmp_path: Path, text: str) -> None:
    (tmp_path / "log").write_text(f"{text}\n" * 200)
    done = command("--log", str(tmp_path / "log"))
    assert done.exit_code == 11
    assert "200 lines are of no known form" in done.stdout
    assert "No suspicious pattern" not in done.stdout


def test_haproxys_default_format_is_told_to_hold_no_request(tmp_path: Path) -> None:
    line_ = (
        "Oct 25 11:00:00 lb haproxy[1]: Connect from 10.0.1.2:33312 to 10.0.3.31:8012 (www/HTTP)\n"
    )
    notice = "Oct 25 11:00:00 lb haproxy[1]: Server app/a is UP, reason: Layer7 check passed\n"
    (tmp_path / "log").write_text(line_ * 3 + notice)
    done = command("--log", str(tmp_path / "log"))
    assert done.exit_code == 11
    assert "set `option httplog`" in done.stdout
    assert "3 lines tell of connections alone" in done.stdout
    assert "0 lines that could not be read" in done.stdout


def test_what_the_app_logs_beside_its_requests_is_not_unreadable(tmp_path: Path) -> None:
    now = datetime.now() - timedelta(minutes=5)
    lines = [f"[{now:%Y-%m-%d %H:%M:%S}] REQUEST GET /live", "Traceback (most recent call last):"]
    (tmp_path / "app.log").write_text("\n".join(lines))
    done = command("--log", str(tmp_path / "app.log"))
    assert (done.exit_code, "No suspicious pattern." in done.stdout) == (0, True)


@pytest.mark.parametrize("ending", ["gz", "xz", "bz2"])
def test_a_cut_archive_is_named_and_everything_else_is_read(tmp_path: Path, ending: str) -> None:
    at = datetime.now(UTC) - timedelta(minutes=5)
    good = f"{attack('combined', at)}\n".encode()
    noise = "".join(f"{attack('JSON', at)}{n * 7919}\n" for n in range(2000)).encode()
    pack = {"gz": gzip.compress, "xz": lzma.compress, "bz2": bz2.compress}[ending]
    whole = pack(good * 50 + noise)
    (tmp_path / f"a.log.1.{ending}").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "a.log").write_bytes(good)
    done = command("--log", f"{tmp_path}/a.log*", "--json")
    assert done.exit_code == 11
    value = json.loads(done.stdout)
    assert value["requests"] >= 1
    (told,) = value["damaged"]
    assert f"a.log.1.{ending} cannot be read to its end" in told


def test_a_packed_log_that_nothing_here_unpacks_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.log.1.zst").write_bytes(b"\x28\xb5\x2f\xfd")
    (tmp_path / "a.log").write_text("")
    done = command("--log", f"{tmp_path}/a.log*")
    assert done.exit_code == 11
    assert "a.log.1.zst cannot be read" in done.stdout


def test_nothing_of_a_log_reaches_a_terminal_raw(tmp_path: Path) -> None:
    at = datetime.now(UTC) - timedelta(minutes=5)
    day = f"{at:%d/%b/%Y:%H:%M:%S +0000}"
    evil = "\x1b]0;x\x07\x1b[2J\u202e"
    lines = [
        f'10.0.0.1{evil} - - [{day}] "POST /admin/flags{evil} HTTP/1.1" 200 1 "-" "sqlmap{evil}"',
        json.dumps(
            {"ip": f"1{evil}", "time": at.isoformat(), "method": "GET", "path": f"/.env{evil}"}
        ),
    ]
    (tmp_path / "log").write_text("\n".join(lines))
    (tmp_path / "app").write_text(f"AUDIT {json.dumps({'actor': f'user:{evil}'})}\n")
    done = command("--log", str(tmp_path / "log"), "--audit-log", str(tmp_path / "app"))
    assert done.exit_code == 11
    assert [c for c in done.stdout if not c.isprintable() and c != "\n"] == []


def test_a_missing_log_is_named(tmp_path: Path) -> None:
    done = command("--log", f"{tmp_path}/none*")
    assert done.exit_code == 2
    assert "No log matches" in done.stderr
