"""The playbook's command lines: how they are found in it, and what becomes of each.

`python -m tests.playbook.lines` prints the table of docs/playbook.md.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
# The user's own document; a checkout alone has the copy of its lines only.
PLAYBOOK = REPOSITORY.parent / "shared" / "playbook.md"
COPY = HERE / "lines.txt"

SESSION = "tests/playbook/test_session.py::test_the_playbook_runs_as_it_is_typed"


@dataclass(frozen=True)
class Line:
    """One command line, and the heading that it stands under."""

    section: str
    command: str


@dataclass(frozen=True)
class Rule:
    """What happens with the lines that a pattern matches.

    Attributes:
        pattern: matches the whole command.
        runs: what runs, in words, for the table.
        said: a pattern that the line's output must match.
        test: the test that runs it.
        codes: the exit codes that count as done.
    """

    pattern: str
    runs: str
    said: str = ""
    test: str = SESSION
    codes: tuple[int, ...] = (0,)


_REPLIT = (
    "the platform's own command; in `mina-ops.toml` it is a hook of the release, or the traffic "
    "driver `command`"
)

RULES = (
    Rule(r"curl \S+/api/health", "`GET /api/health`", r'"status": ?"healthy"'),
    Rule(r"curl \S+/api/health/db", "`GET /api/health/db`", r'"connected"'),
    Rule(r"curl \S+/api/health/redis", "`GET /api/health/redis`", r'"connected"'),
    Rule(r"curl \S+/api/health/openai", "`GET /api/health/openai`", r'"available"'),
    Rule(r"curl \S+/live", "the app's live page, whose templates are compiled by it", r"<html"),
    Rule(r"curl \S+/api/flags", "`GET /api/flags`", r'"flags"'),
    Rule(r"curl \S+/api/metrics/errors", "`GET /api/metrics/errors`", r"error_rate_5min"),
    Rule(r"curl \S+/api/metrics/performance", "`GET /api/metrics/performance`", r"p95_ms"),
    Rule(
        r"curl \S+/api/metrics/websockets",
        "`GET /api/metrics/websockets`",
        r"connection_success_rate",
    ),
    Rule(
        r"curl \S+/api/metrics/sessions/active",
        "`GET /api/metrics/sessions/active`",
        r"active_sessions",
    ),
    Rule(
        r"curl \S+/completion_rate",
        "`GET /api/metrics/transcriptions/completion_rate`",
        r"completion_rate",
    ),
    Rule(
        r"curl \S+/insights_success_rate",
        "`GET /api/metrics/ai/insights_success_rate`",
        r"insights_success_rate",
    ),
    Rule(r"curl -X POST \S+/api/sessions .*", "the app: a session begins", r'"active"'),
    Rule(r"curl -X POST \S+/segments .*", "the app: a segment", r'"created"'),
    Rule(
        r"curl -X POST \S+/finalize .*", "the app: summary and end", r'"summary_generated": ?true'
    ),
    Rule(r"curl -X DELETE .*", "the app: the session is deleted", r'"deleted"'),
    Rule(r"SESSION_COOKIE=.*", "the app's login; the cookie is kept for the next line"),
    Rule(
        r"curl -X POST \S+/admin/drain .*",
        "`POST /admin/drain` by an admin's cookie",
        r'"state": ?"(draining|drained)"',
    ),
    Rule(
        r"curl -X POST \S+/admin/flags .*",
        "`POST /admin/flags`; curl's form content type is read as JSON",
        r'"enabled": ?false',
    ),
    Rule(
        r"watch -n \d .*",
        "the same endpoint, again and again; ended by Ctrl-C",
        r"\{",
    ),
    Rule(
        r"wscat .*",
        "the raw ping of the app, answered by its pong",
        test="tests/app/sessions/test_wscat.py::test_wscat_gets_its_pong_directly_and_through_nginx",
    ),
    Rule(
        r"pytest tests/smoke/ .*",
        "the smoke tests, against a demo of their own or `--base-url`",
        test="tests/demo/test_smoke.py::"
        "test_the_playbooks_smoke_command_passes_and_writes_its_report",
    ),
    Rule(
        r"artillery run .*",
        "`deployment/load-test.yml`, with the playbook's limits as `ensure` rules",
        test="tests/playbook/test_load_test.py::test_artillery_runs_it_against_the_demo",
    ),
    Rule(r'psql .* "SELECT version\(\);"', "psql", r"PostgreSQL"),
    Rule(
        r"psql .*REVOKE.*",
        "psql; only PUBLIC loses its rights. `mina-ops db offline sessions` revokes everyone's",
        r"REVOKE",
    ),
    Rule(
        r"psql .*GRANT.*",
        "psql; `mina-ops db online sessions` gives back exactly what `offline` took",
        r"GRANT",
    ),
    Rule(r"redis-cli .*", "redis-cli", r"PONG"),
    Rule(
        r"pg_dump .*",
        "`scripts/bin/pg_dump`: pg_dump in the custom format, so that pg_restore can read it. "
        "`mina-ops db backup` also proves it",
    ),
    Rule(
        r"pg_restore --list .*",
        "`scripts/bin/pg_restore`: the table of contents of the newest of the backups",
        r"Archive created",
    ),
    Rule(
        r"pg_restore --table .*",
        "`scripts/bin/pg_restore`: `mina-ops db restore --table`, by primary key, into "
        "DATABASE_URL; rows that came later stay",
        r"rows of sessions were brought back",
    ),
    Rule(
        r"pg_restore --clean .*",
        "`scripts/bin/pg_restore`: `mina-ops db restore` into RESTORE_DATABASE_URL, in one "
        "transaction; never over the database in use",
        r"is restored into",
    ),
    Rule(
        r"aws s3 cp .*",
        "the platform's own command; `database.copy` in `mina-ops.toml` runs it for each backup",
        r"^upload: ",
    ),
    Rule(r"export DATABASE_URL=.*", "the shell"),
    Rule(r"flask db upgrade", "Flask-Migrate"),
    Rule(r"flask db current", "Flask-Migrate", r"\(head\)"),
    Rule(
        r"flask db downgrade -1",
        "`scripts/bin/flask`: Flask-Migrate, for which -1 would be an option. Only in staging: "
        "`refuse_downgrade` in env.py refuses production",
    ),
    Rule(
        r"flask db revision .*", "Flask-Migrate; `mina-ops db check` judges it", r"Generating|done"
    ),
    Rule(r"git tag .*", "git"),
    Rule(r"git push origin .*", "git", r"\[new tag\]"),
    Rule(r"git checkout -b .*", "git"),
    Rule(
        r"git push && \./scripts/emergency_deploy\.sh",
        "git, then `mina-ops release start` of what is pushed. On a new branch plain `git push` "
        "needs `push.autoSetupRemote`, or `git push -u origin HEAD` once",
        test="tests/playbook/test_recover.py::test_hotfix_is_released_by_the_playbooks_line",
    ),
    Rule(r"replit deployments logs .*", _REPLIT, r"REQUEST|^$"),
    Rule(r"replit .*", _REPLIT, r"^done: "),
    Rule(
        r"nginx -t && nginx -s reload",
        "nginx; `mina-ops switch` needs no reload",
        r"test is successful",
    ),
    Rule(
        r"haproxy .* && systemctl reload haproxy",
        "HAProxy and systemd; `mina-ops switch` needs no reload",
        r"Configuration file is valid[\s\S]*done: systemctl reload haproxy",
    ),
    Rule(r"open https://\S+", "the browser"),
    Rule(r"\./scripts/admin_drain\.sh mina-blue", "`mina-ops drain mina-blue --wait`", r"drained"),
    Rule(r"\./scripts/switch_traffic\.sh .*--instant", "`mina-ops switch --instant`", r"switched"),
    Rule(
        r"\./scripts/switch_traffic\.sh .*--canary \d+", "`mina-ops switch --canary`", r"switched"
    ),
    Rule(r"\./scripts/notify_rollback\.sh .*", "`mina-ops notify rollback`", r"channel|told"),
    Rule(r"\./scripts/verify_data_integrity\.sh", "`mina-ops db integrity`", r"No fault found"),
    Rule(
        r"\./scripts/analyze_migration_failure\.sh .*",
        "`mina-ops db analyse-failure --include-timeline`",
        r"the code's head is",
    ),
    Rule(
        r"\./scripts/analyze_data_corruption\.sh", "`mina-ops db corruption`", r"Nothing is damaged"
    ),
    Rule(
        r"\./scripts/emergency_hotline\.sh .*",
        "`mina-ops incident hotline --activate`",
        r"The hotline is open",
    ),
    Rule(
        r"echo .*update_status_page\.sh",
        "`mina-ops incident status-page`, which writes a static page",
        r"Published \(outage\)",
    ),
    Rule(
        r"\./scripts/security_incident\.sh .*",
        "`mina-ops incident security --severity critical`",
        r"Evidence",
    ),
    Rule(
        r"\./scripts/rotate_secrets\.sh --all --force",
        "`mina-ops secrets rotate --all --force`",
        test="tests/operator/secrets/test_rotation_under_load.py::"
        "test_rotation_under_load_loses_no_request_and_no_session",
    ),
    Rule(
        r"\./scripts/audit_access_logs\.sh .*",
        "`mina-ops incident logs --since`; exit code 11 if somebody should look",
        r"Since ",
        codes=(0, 11),
    ),
    Rule(
        r"\./scripts/notify_users\.sh --template security_breach",
        "`mina-ops incident notify-users`; what only people know is in `[incident.words]` or "
        "`--set what=... --set data=...`, and it ends with 2 while that is missing",
        r"1 letters sent",
    ),
)


def extract(playbook: str) -> list[Line]:
    """The command lines of the playbook's shell blocks; its appendix lists scripts instead."""
    found: list[Line] = []
    section, block = "", None
    for line in playbook.split("## Appendix")[0].splitlines():
        if block is None:
            if line.startswith("#"):
                section = line.lstrip("# ").strip()
            block = [] if line.startswith("```bash") else None
        elif line.startswith("```"):
            found += [Line(section, command) for command in _commands("\n".join(block))]
            block = None
        else:
            block.append(line)
    return found


def _commands(block: str) -> list[str]:
    joined = re.sub(r"\s*\\\n\s*", " ", block)
    # An nginx configuration stands among the commands of 3.2; the driver renders one.
    joined = re.sub(r"^upstream [^}]*\}$", "", joined, flags=re.M)
    lines = [re.sub(r"\s+# .*$", "", line.strip()) for line in joined.splitlines()]
    return [line for line in lines if line and line[0] not in "#<>" and line != "OR"]


def load() -> list[Line]:
    """The lines of the copy."""
    pairs = [text.split("\t", 1) for text in COPY.read_text(encoding="utf-8").splitlines()]
    return [Line(section, command) for section, command in pairs]


def rule_of(command: str) -> Rule | None:
    """The first rule that matches a command."""
    return next((rule for rule in RULES if re.fullmatch(rule.pattern, command)), None)


def table(lines: list[Line]) -> str:
    """Each line once, what runs, and the test that runs it; Markdown."""
    rows = ["| typed | what runs | test |", "| --- | --- | --- |"]
    for command in dict.fromkeys(line.command for line in lines):
        rule = rule_of(command)
        if rule is not None:
            typed = command.replace("|", "\\|")
            file, _, test = rule.test.partition("::")
            rows.append(f"| `{typed}` | {rule.runs} | `{test}` in `{file}` |")
    return "\n".join(rows)


if __name__ == "__main__":
    if "--copy" in sys.argv:
        texts = [f"{line.section}\t{line.command}\n" for line in extract(PLAYBOOK.read_text())]
        COPY.write_text("".join(texts), encoding="utf-8")
    else:
        print(table(load()))
