"""The playbook's checklist before a release."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import redis

from mina_ops.errors import OperatorError, ToolMissing
from mina_ops.fields import PATH, TEXT, TEXTS, WHOLE, setting
from mina_ops.operator.api.client import AppClient
from mina_ops.operator.api.flags import open_client
from mina_ops.operator.checklist.model import FAILED, OK, OPEN, SKIPPED, Item
from mina_ops.operator.config.settings import OperatorSettings
from mina_ops.operator.database.backup import manifest
from mina_ops.operator.database.connection import connect
from mina_ops.operator.database.connection.options import DatabaseOptions
from mina_ops.operator.database.migrations import checking, facts, revisions
from mina_ops.operator.system import programs
from mina_ops.operator.system.patience import patient

_GIT_SECONDS = 30.0
_CI_SECONDS = 120.0
_REDIS_SECONDS = 3.0


@dataclass(frozen=True)
class PreflightOptions:
    """The table `[preflight]` of mina-ops.toml."""

    # fmt: off
    branch: str = setting("main", TEXT,
        "The branch that releases come from; the commit must be on it.")
    ci: tuple[str, ...] = setting((), TEXTS,
        "A command that ends with 0 if CI passed for the release; `{version}` is replaced.")
    notes: Path = setting(Path("docs/changelog.md"), PATH,
        "The file that must name the release, such as a changelog.")
    staging_url: str | None = setting(None, TEXT,
        "Staging, which must be healthy and run the release.")
    staging_env: str = setting("STAGING_DATABASE_URL", TEXT,
        "Variable with staging's database.")
    redis_env: str = setting("REDIS_URL", TEXT,
        "Variable with the URL of Redis.")
    backup_hours: int = setting(24, WHOLE,
        "The newest proven backup must not be older.", "hours", least=1, most=720)
    flags: tuple[str, ...] = setting((), TEXTS,
        "Flags of the release that must be there, and off.")
    # fmt: on


@dataclass(frozen=True)
class Preflight:
    """What the items look at; each method that is an item returns its state and the reason.

    Attributes:
        version: the release, which is the name of its tag.
        settings: None: there is no mina-ops.toml, so no colour can be asked.
        reviewed: revisions of migrations that somebody judged by hand.
        environ: where variables with URLs are looked up.
    """

    version: str
    options: PreflightOptions
    database: DatabaseOptions
    settings: OperatorSettings | None
    reviewed: tuple[str, ...] = ()
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)

    def items(self) -> list[Item]:
        """The checklist."""
        return [
            Item("tag", f"{self.version} is tagged, pushed, and what lies here", self.tag),
            Item("ci", "CI passed (tests, linting, security scans)", self.ci),
            Item("migrations", "Migrations reviewed: they suit the running code", self.migrations),
            Item("staging", "Migrations tested in staging, staging healthy", self.staging),
            Item("flags", "Flags of the release are there, and off", self.flags),
            Item("notes", "Release notes drafted", self.notes),
            Item("stakeholders", "Stakeholders notified of the deployment window"),
            Item("database", "Database reachable", self.database_reachable),
            Item("redis", "Redis reachable", self.redis_reachable),
            Item(
                "backup", f"Backup proven, at most {self.options.backup_hours} h old", self.backup
            ),
        ]

    def tag(self) -> tuple[str, str]:
        """The tag is on this commit, nothing is uncommitted, and the remote has it."""
        tagged = _git("rev-parse", "--verify", "--quiet", f"refs/tags/{self.version}^{{commit}}")
        if tagged is None:
            return FAILED, f"there is no tag {self.version}; git tag -a {self.version}"
        if tagged != _git("rev-parse", "HEAD"):
            return FAILED, f"{self.version} is on another commit; git checkout {self.version}"
        if _git("status", "--porcelain", "--untracked-files=no"):
            return FAILED, "there are changes that are not committed"
        if _git("merge-base", "--is-ancestor", "HEAD", self.options.branch) is None:
            return FAILED, f"the commit is not on {self.options.branch}"
        remote = _git("ls-remote", "--tags", "origin", self.version)
        if remote is None:
            return OPEN, "the remote cannot be asked whether it has the tag"
        if not remote:
            return FAILED, f"the tag is not pushed; git push origin {self.version}"
        return OK, tagged[:12]

    def ci(self) -> tuple[str, str]:
        """The command of mina-ops.toml says that CI passed."""
        if not self.options.ci:
            return OPEN, "preflight.ci names no command; look yourself"
        argv = [part.replace("{version}", self.version) for part in self.options.ci]
        result = programs.run(argv, timeout_seconds=_CI_SECONDS)
        return (OK, "") if result.ok else (FAILED, result.last_line())

    def migrations(self) -> tuple[str, str]:
        """No coming migration breaks or blocks the running code."""
        folder = self.database.migrations
        if not (folder / "versions").is_dir():
            return SKIPPED, f"no migrations in {folder}"
        database = connect.from_variable(self.database.url_env, self.environ)
        with database.connect() as connection:
            at = revisions.current(connection, self.database.version_table)
            there = facts.read(connection)
        question = checking.Question(
            folder,
            at,
            mapped_file=self.database.mapped,
            dialect=database.kind,
            version_table=self.database.version_table,
            timeouts_set=self.database.timeouts_set,
            reviewed=self.reviewed,
        )
        found = checking.check(question, facts=there, database=database)
        number = len(found.revisions)
        if found.compatible:
            return OK, f"{number} to run" if number else "none to run"
        first = next(danger for danger in found.dangers if danger.level != "note")
        return FAILED, f"{first.revision}: {first.detail} (mina-ops db check says more)"

    def staging(self) -> tuple[str, str]:
        """Staging's database is at the head, and staging runs the release and is healthy."""
        said = []
        if self.environ.get(self.options.staging_env):
            tree = revisions.Tree(self.database.migrations)
            staging = connect.from_variable(self.options.staging_env, self.environ)
            with staging.connect() as connection:
                at = revisions.current(connection, self.database.version_table)
            if at != [tree.head()]:
                return FAILED, f"staging is at {', '.join(at) or 'no revision'}, not {tree.head()}"
            said.append(f"at {at[0]}")
        if self.options.staging_url:
            with AppClient("staging", self.options.staging_url) as client:
                health = client.health()
            if not health.healthy:
                return FAILED, f"staging is {health.status}: {', '.join(health.failing())}"
            if health.version != self.version:
                return FAILED, f"staging runs {health.version}, not {self.version}"
            said.append("healthy")
        if not said:
            return OPEN, f"neither {self.options.staging_env} nor preflight.staging_url is set"
        return OK, ", ".join(said)

    def flags(self) -> tuple[str, str]:
        """Flags that the release brings exist, and none of them is on."""
        if self.settings is None:
            return OPEN, "no mina-ops.toml, so no colour to ask"
        with open_client(self.settings) as client:
            found = client.all()["flags"]
        by_key = {flag["key"]: flag for flag in found}
        missing = [key for key in self.options.flags if key not in by_key]
        if missing:
            return FAILED, f"missing: {', '.join(missing)}"
        mine = [flag for flag in found if flag.get("release") == self.version]
        mine += [by_key[key] for key in self.options.flags if by_key[key] not in mine]
        on = [flag["key"] for flag in mine if flag.get("enabled")]
        if on:
            return FAILED, f"on already: {', '.join(on)}"
        return OK, f"{len(mine)} flags, all off" if mine else "the release brings no flag"

    def notes(self) -> tuple[str, str]:
        """The notes name the release."""
        file = self.options.notes
        if not file.is_file():
            return FAILED, f"there is no {file}"
        # A whole version: what is new in 1.2.10 says nothing of 1.2.1.
        version = re.escape(self.version.removeprefix("v"))
        named = re.compile(rf"(?<![\w.])v?{version}(?!\w|[.-]\w)")
        if not named.search(file.read_text(errors="replace")):
            return FAILED, f"{file.name} does not name {self.version}"
        return OK, file.name

    def database_reachable(self) -> tuple[str, str]:
        """The database answers."""
        database = connect.from_variable(self.database.url_env, self.environ)
        with database.connect() as connection:
            connect.rows(connection, "SELECT 1")
        return OK, database.name

    def redis_reachable(self) -> tuple[str, str]:
        """Redis answers PING."""
        url = self.environ.get(self.options.redis_env)
        if not url:
            return FAILED, f"{self.options.redis_env} is not set"
        seconds = patient(_REDIS_SECONDS)
        limits = {"socket_timeout": seconds, "socket_connect_timeout": seconds}
        try:
            with redis.Redis.from_url(url, **limits) as client:
                client.ping()
        except (redis.RedisError, ValueError) as exc:
            return FAILED, f"Redis does not answer ({type(exc).__name__})"
        return OK, ""

    def backup(self) -> tuple[str, str]:
        """The newest proven backup is young enough, and of this database."""
        folder = self.database.folder
        database = connect.from_variable(self.database.url_env, self.environ)
        found = manifest.newest(folder, database.address) if folder.is_dir() else None
        if found is None:
            return FAILED, f"no proven backup of {database.name} in {folder}; mina-ops db backup"
        age = datetime.now(UTC) - found[1].created
        if age > timedelta(hours=self.options.backup_hours):
            return FAILED, f"{found[0].name} is {age.total_seconds() / 3600:.0f} h old"
        return OK, found[0].name


def _git(*arguments: str) -> str | None:
    """What git prints; None if it fails.

    Raises:
        ToolMissing: there is no git.
    """
    try:
        result = programs.run(["git", *arguments], timeout_seconds=_GIT_SECONDS)
    except ToolMissing:
        raise
    except OperatorError:
        return None
    return result.stdout.strip() if result.ok else None
