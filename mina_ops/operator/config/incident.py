"""The table `[incident]` of mina-ops.toml."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mina_ops.operator.config.tables import Table


@dataclass(frozen=True)
class SecretOptions:
    """Where secrets live and how the colours take up new ones.

    Attributes:
        file: the environment file that the colours start with; 0600.
        reload: a command that makes a colour read it again; `{colour}` is replaced.
        admin_env: a variable with the URL of a database role that may create roles.
        settle_seconds: how long a colour may take to be ready again.
        *_key: the names of the variables in the file.
    """

    file: Path | None = None
    reload: tuple[str, ...] = ()
    admin_env: str = "ADMIN_DATABASE_URL"
    settle_seconds: float = 60.0
    secret_key: str = "SECRET_KEY"  # noqa: S105 - a variable's name
    fallbacks_key: str = "SECRET_KEY_FALLBACKS"
    tokens_key: str = "MINA_OPS_ADMIN_TOKENS"
    database_key: str = "DATABASE_URL"
    redis_key: str = "REDIS_URL"
    by_hand: tuple[str, ...] = ("OPENAI_API_KEY",)


@dataclass(frozen=True)
class IncidentOptions:
    """What an incident needs to know.

    Attributes:
        folder: where incidents and evidence are recorded; 0700.
        status_folder: what the web server shows as status page.
        status_title: its title.
        bridge: how to join the hotline: a meeting's address or a number.
        people: who is on duty, as text.
        access_logs: nginx access logs, as patterns; rotated ones too.
        audit_logs: logs of the app with AUDIT lines, as patterns.
        templates: where the letters to users are.
        recipients: a command that prints `address[,name]` lines, or a query over the database.
        recipients_query: SQL with the columns `address` and `name`.
        send: a command that takes one message on standard input, as sendmail does.
        sender: the From address.
        words: what letters say beside what is known anyway; `--set` goes before it.
    """

    folder: Path = Path("incidents")
    status_folder: Path = Path("status")
    status_title: str = "Mina"
    bridge: str = ""
    people: tuple[str, ...] = ()
    access_logs: tuple[str, ...] = ("/var/log/nginx/access.log*",)
    audit_logs: tuple[str, ...] = ()
    templates: Path | None = None
    recipients: tuple[str, ...] = ()
    recipients_query: str | None = None
    send: tuple[str, ...] = ("sendmail", "-t", "-i")
    sender: str = "security@localhost"
    words: Mapping[str, str] = field(default_factory=dict)
    secrets: SecretOptions = field(default_factory=SecretOptions)


def read(table: Table) -> IncidentOptions:
    """The options in the table; an absent table is the defaults.

    Raises:
        ConfigurationError: a key is unknown or of the wrong type.
    """
    default = IncidentOptions()
    base = table.file.parent
    options = IncidentOptions(
        folder=table.path("folder", base / default.folder),
        status_folder=table.path("status_folder", base / default.status_folder),
        status_title=table.text("status_title", default.status_title),
        bridge=table.text("bridge", default.bridge),
        people=table.texts("people", default.people),
        access_logs=table.texts("access_logs", default.access_logs),
        audit_logs=table.texts("audit_logs", default.audit_logs),
        templates=table.path("templates", None),
        recipients=table.texts("recipients", default.recipients),
        recipients_query=table.text("recipients_query", None),
        send=table.texts("send", default.send),
        sender=table.text("sender", default.sender),
        words=_words(table.table("words")),
        secrets=_secrets(table.table("secrets")),
    )
    table.done()
    return options


def _words(table: Table) -> Mapping[str, str]:
    words = {key: table.text(key) for key in table.keys()}  # noqa: SIM118 - no mapping
    table.done()
    return words


def _secrets(table: Table) -> SecretOptions:
    default = SecretOptions()
    options = SecretOptions(
        file=table.path("file", None),
        reload=table.texts("reload", default.reload),
        admin_env=table.text("admin_env", default.admin_env),
        settle_seconds=table.number("settle_seconds", default.settle_seconds, least=1, most=3600),
        secret_key=table.text("secret_key", default.secret_key),
        fallbacks_key=table.text("fallbacks_key", default.fallbacks_key),
        tokens_key=table.text("tokens_key", default.tokens_key),
        database_key=table.text("database_key", default.database_key),
        redis_key=table.text("redis_key", default.redis_key),
        by_hand=table.texts("by_hand", default.by_hand),
    )
    table.done()
    return options
