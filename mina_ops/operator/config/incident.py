"""The table `[incident]` of mina-ops.toml."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mina_ops.fields import NUMBER, PATH, TABLE, TEXT, TEXTS, setting
from mina_ops.operator.config.tables import Table


@dataclass(frozen=True)
class SecretOptions:
    """Where secrets live and how the colours take up new ones."""

    # fmt: off
    file: Path | None = setting(None, PATH,
        "The environment file that the colours start with; 0600.")
    reload: tuple[str, ...] = setting((), TEXTS,
        "A command that makes a colour read it again; `{colour}` is replaced.")
    admin_env: str = setting("ADMIN_DATABASE_URL", TEXT,
        "Variable with the URL of a database role that may create roles.")
    settle_seconds: float = setting(60.0, NUMBER,
        "How long a colour may take to be ready again.", "seconds", least=1, most=3600)
    secret_key: str = setting("SECRET_KEY", TEXT,
        "The file's variable that signs sessions.")
    fallbacks_key: str = setting("SECRET_KEY_FALLBACKS", TEXT,
        "The variable with earlier ones, which are still accepted.")
    tokens_key: str = setting("MINA_OPS_ADMIN_TOKENS", TEXT,
        "The variable with the admins' token digests.")
    database_key: str = setting("DATABASE_URL", TEXT,
        "The variable with the database's URL.")
    redis_key: str = setting("REDIS_URL", TEXT,
        "The variable with the URL of Redis.")
    by_hand: tuple[str, ...] = setting(("OPENAI_API_KEY",), TEXTS,
        "Secrets that only their vendor can make; they are named at the end.")
    # fmt: on


@dataclass(frozen=True)
class IncidentOptions:
    """What an incident needs to know."""

    # fmt: off
    folder: Path = setting(Path("incidents"), PATH,
        "Where incidents and evidence are recorded; 0700.")
    status_folder: Path = setting(Path("status"), PATH,
        "What the web server shows as status page.")
    status_title: str = setting("Mina", TEXT,
        "Its title.")
    status_components: tuple[str, ...] = setting((), TEXTS,
        "Parts of the product that users know by name, such as `Live transcription`.")
    bridge: str = setting("", TEXT,
        "How to join the hotline: a meeting's address or a number.")
    people: tuple[str, ...] = setting((), TEXTS,
        "Who is on duty, as text.")
    access_logs: tuple[str, ...] = setting(("/var/log/nginx/access.log*",), TEXTS,
        "Access logs of the load balancer or the app's server, as patterns; rotated ones too.")
    audit_logs: tuple[str, ...] = setting((), TEXTS,
        "Logs of the app with AUDIT lines, as patterns.")
    templates: Path | None = setting(None, PATH,
        "Where the letters to users are; default: the ones that come with mina_ops.")
    recipients: tuple[str, ...] = setting((), TEXTS,
        "A command that prints `address[,name]` lines.")
    recipients_query: str | None = setting(None, TEXT,
        "Instead: SQL with the columns `address` and `name`.")
    send: tuple[str, ...] = setting(("sendmail", "-t", "-i"), TEXTS,
        "A command that takes one message on standard input, as sendmail does.")
    sender: str = setting("security@localhost", TEXT,
        "The From address.")
    words: Mapping[str, str] = setting(dict, TABLE,
        "What letters say beside what is known anyway; `--set` goes before it.", shown="")
    secrets: SecretOptions = setting(SecretOptions, TABLE,
        "See the table below.", shown="")
    # fmt: on


def read(table: Table) -> IncidentOptions:
    """The options in the table; an absent table is the defaults.

    Raises:
        ConfigurationError: a key is unknown or of the wrong type.
    """
    return table.fill(IncidentOptions, words=_words(table.table("words")))


def _words(table: Table) -> Mapping[str, str]:
    words = {key: table.text(key) for key in table.keys()}  # noqa: SIM118 - no mapping
    table.done()
    return words
