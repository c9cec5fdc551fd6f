"""Every setting of the app's half: its key, default, unit and meaning.

A key is looked up in `app.config`, then in the environment, then the default holds. They are
read once, by `init_app`. `docs/configuration.md` holds the table that `table()` makes.
"""

from __future__ import annotations

import difflib
import hashlib
import os
import re
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from mina_ops import fields
from mina_ops.errors import ConfigurationError
from mina_ops.fields import ANYTHING, FLAG, NUMBER, TEXT, TEXT_OR_NONE, TEXTS, WHOLE, Kind, Rules

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}")
# What a script writes when the variable with the token was empty: everybody knows that token.
_DIGEST_OF_NOTHING = hashlib.sha256(b"").hexdigest()


def _tokens(value: object) -> Mapping[str, str]:
    if isinstance(value, Mapping):
        pairs = [(str(name), str(digest)) for name, digest in value.items()]
    else:
        pairs = [tuple(part.split(":", 1)) for part in TEXTS.from_text(value)]
    for _, digest in pairs:
        if not re.fullmatch(r"[0-9a-f]{64}", digest) or digest == _DIGEST_OF_NOTHING:
            raise ValueError("a token digest is 64 hex digits")
    return dict(pairs)


def _outcomes(value: object) -> Mapping[str, str]:
    if isinstance(value, Mapping):
        return {str(name): str(rules) for name, rules in value.items()}
    pairs = [part.partition("=") for part in str(value).split(";") if part.strip()]
    if not all(equals for _, equals, _ in pairs):
        raise ValueError("an outcome is NAME=RULE")
    return {name.strip(): rules.strip() for name, _, rules in pairs}


def _counter(value: Any) -> Callable[[], int] | str | None:
    return value if callable(value) else str(value).strip() or None


def _database_url(value: object) -> str | None:
    text = str(value).strip()
    if text:
        _check_database_url(text)
    return text or None


def _check_database_url(text: str) -> None:
    # Here, as a host without a database shall not load SQLAlchemy for us.
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        make_url(text).get_dialect()
    except ArgumentError as exc:
        raise ValueError(str(exc)) from exc


def _colour(value: object) -> str:
    """A name for the colour, also of what another tool calls its environment: `Prod (EU)`."""
    text = str(value).strip()
    if _NAME.fullmatch(text):
        return text
    return re.sub(r"[^A-Za-z0-9_-]+", "-", text).strip("-_")[:32] or "production"


_TOKENS = Kind("tokens", _tokens, _tokens)
_OUTCOMES = Kind("outcomes", _outcomes, _outcomes)
_COUNTER = Kind("a query or a callable", _counter, _counter)
_DATABASE_URL = Kind("the URL of a database", _database_url, _database_url)
_COLOUR = Kind("a colour", _colour, _colour)


def _key(key: str, default: Any, kind: Kind, meaning: str, unit: str = "", **more: Any) -> Any:
    return fields.setting(default, kind, meaning, unit, key=key, **more)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All settings of one app, read and checked; immutable."""

    # fmt: off
    environment: str = _key("ENVIRONMENT", "production", _COLOUR,
        "Colour of this process: up to 32 letters, digits, `-` and `_`; others become `-`.")
    version: str = _key("APP_VERSION", "unknown", TEXT,
        "Release that this process runs.")
    instance: str = _key("MINA_OPS_INSTANCE", "0", TEXT,
        "Name of this instance within its colour; part of each sid.")
    process_kind: str | None = _key("MINA_OPS_PROCESS_KIND", None, TEXT_OR_NONE,
        "`web`, `worker` (counts for kills and outcomes) or `command` (leaves no trace); default: "
        "found out. Set it for workers that a `flask` command of your own runs.")
    colours: tuple[str, ...] = _key("MINA_OPS_COLOURS", ("blue", "green"), TEXTS,
        "The colours that share Redis and database.")
    redis_url: str | None = _key("REDIS_URL", None, TEXT_OR_NONE,
        "Where the colours share state; without it: the memory of this process. Also "
        "`redis+sentinel://HOST:26379,HOST/SERVICE/0` and `redis+cluster://HOST:6379,HOST`.",
        secret=True)
    product: str = _key("MINA_OPS_PRODUCT", "mina", TEXT,
        "Begins the name of every key in Redis. Give products, or staging and production, that "
        "share a Redis database names of their own.")
    redis_timeout_seconds: float = _key("MINA_OPS_REDIS_TIMEOUT", 0.2, NUMBER,
        "Limit for a connect and for an answer; no retries.", "seconds", above=0.0, most=5.0)
    beat_seconds: float = _key("MINA_OPS_BEAT", 1.0, NUMBER,
        "Pause between two beats of the heartbeat.", "seconds", above=0.0, most=5.0)
    presence_ttl_seconds: float = _key("MINA_OPS_PRESENCE_TTL", 3.5, NUMBER,
        "A process that is silent for this long is gone.", "seconds", above=1.0, most=60.0)
    admin_tokens: Mapping[str, str] = _key("MINA_OPS_ADMIN_TOKENS", dict, _TOKENS,
        "Bearer tokens: name -> SHA-256 hex digest; `name:digest,...` as text.", secret=True)
    read_tokens: Mapping[str, str] = _key("MINA_OPS_READ_TOKENS", dict, _TOKENS,
        "Bearer tokens that may only read, in the same form.", secret=True)
    drain_tokens: Mapping[str, str] = _key("MINA_OPS_DRAIN_TOKENS", dict, _TOKENS,
        "Bearer tokens for `/admin/drain` alone, in the same form.", secret=True)
    flags_tokens: Mapping[str, str] = _key("MINA_OPS_FLAGS_TOKENS", dict, _TOKENS,
        "Bearer tokens for `/admin/flags` (and OFREP) alone, in the same form.", secret=True)
    console_path: str | None = _key("MINA_OPS_CONSOLE_PATH", "/mina-ops/", TEXT_OR_NONE,
        "Path of the console; empty: off.")
    is_admin: Callable[[Any], bool] | None = _key("MINA_OPS_IS_ADMIN", None, ANYTHING,
        "Predicate over Flask-Login's user; default: its `is_admin`.", code_only=True)
    login: Callable[[str, str], Any] | None = _key("MINA_OPS_LOGIN", None, ANYTHING,
        "Called with username and password, gives Flask-Login's user, or None if they are wrong; "
        "serves `POST /api/auth/login` on a host that has no such route.", code_only=True)
    drain_grace_seconds: float = _key("MINA_OPS_DRAIN_GRACE", 30.0, NUMBER,
        "Grace of a drain order that names none.", "seconds", least=0.0, most=86400.0)
    drain_ack_seconds: float = _key("MINA_OPS_DRAIN_ACK", 1.0, NUMBER,
        "How long a client may take to acknowledge a hand-off.", "seconds", least=0.0, most=10.0)
    drain_cut_seconds: float = _key("MINA_OPS_DRAIN_CUT", 2.0, NUMBER,
        "After this a stalled peer's socket is cut.", "seconds", above=0.0, most=30.0)
    drain_on_sigterm: bool = _key("MINA_OPS_DRAIN_ON_SIGTERM", True, FLAG,
        "SIGTERM drains this process before it ends.")
    sigterm_grace_seconds: float = _key("MINA_OPS_SIGTERM_GRACE", 20.0, NUMBER,
        "Grace of that drain; keep it below the server's graceful timeout.", "seconds",
        least=0.0, most=3600.0)
    recovery_namespaces: tuple[str, ...] = _key("MINA_OPS_RECOVERY_NAMESPACES", (), TEXTS,
        "Namespaces whose clients get back their rooms, session and missed events.")
    recovery_seconds: float = _key("MINA_OPS_RECOVERY_SECONDS", 120.0, NUMBER,
        "How long a client may be away for that.", "seconds", least=1.0, most=3600.0)
    recovery_events: int = _key("MINA_OPS_RECOVERY_EVENTS", 2000, WHOLE,
        "How many events of each room are kept for that.", "events", least=10, most=100_000)
    max_connections: int | None = _key("MINA_OPS_MAX_CONNECTIONS", None, WHOLE,
        "Live Socket.IO sessions that a process accepts; default: the server's limit, where it "
        "can be read, less the reserve.", "sessions", least=1)
    connection_reserve: int = _key("MINA_OPS_CONNECTION_RESERVE", 4, WHOLE,
        "Connections of a worker kept free for operators.", "connections", least=0)
    queue_needed: bool = _key("MINA_OPS_QUEUE_NEEDED", True, FLAG,
        "Whether what one colour emits concerns clients of the other. `0` where the server only "
        "answers the client that spoke: then nobody warns that there is no message queue.")
    raw_ping: bool = _key("MINA_OPS_RAW_PING", True, FLAG,
        'Answer the `{"type": "ping"}` of a raw websocket (wscat).')
    raw_ping_origins: tuple[str, ...] = _key("MINA_OPS_RAW_PING_ORIGINS", (), TEXTS,
        "Origins besides the app's own that may use the raw ping.")
    request_log: bool = _key("MINA_OPS_REQUEST_LOG", True, FLAG,
        "Log one line `REQUEST GET /path` for each request.")
    prometheus_path: str | None = _key("MINA_OPS_PROMETHEUS_PATH", "/metrics", TEXT_OR_NONE,
        "Path of the Prometheus text; empty: off.")
    outcomes: Mapping[str, str] = _key("MINA_OPS_OUTCOMES", dict, _OUTCOMES,
        "Outcomes that routes or Socket.IO events tell: name -> rules; `name=rule; name=rule` as "
        "text. See docs/metrics.md.")
    active_sessions: Callable[[], int] | str | None = _key("MINA_OPS_ACTIVE_SESSIONS", None,
        _COUNTER, "How many sessions are active: a query, asked over our own connection, or a "
        "callable.")
    database_url: str | None = _key("MINA_OPS_DATABASE_URL", None, _DATABASE_URL,
        "Database that health asks; default: the one of `db`.", secret=True)
    health_interval_seconds: float = _key("MINA_OPS_HEALTH_INTERVAL", 5.0, NUMBER,
        "Pause between two runs of a cheap health check.", "seconds", above=0.0, most=300.0)
    health_needed: int = _key("MINA_OPS_HEALTH_NEEDED", 2, WHOLE,
        "So many contrary results turn a health check's state ...", "results", least=1, most=20)
    health_window: int = _key("MINA_OPS_HEALTH_WINDOW", 3, WHOLE,
        "... among so many of the last ones.", "results", least=1, most=20)
    openai_api_key: str | None = _key("OPENAI_API_KEY", None, TEXT_OR_NONE,
        "Key of the AI service that health asks; without it the check is off.", secret=True)
    openai_base_url: str | None = _key("OPENAI_BASE_URL", None, TEXT_OR_NONE,
        "Where that service is; default: OpenAI's own.", secret=True)
    openai_model: str = _key("MINA_OPS_OPENAI_MODEL", "gpt-4o", TEXT,
        "Model that health names.")
    disk_path: str = _key("MINA_OPS_DISK_PATH", "/", TEXT,
        "File system that health watches.")
    disk_free_percent: float = _key("MINA_OPS_DISK_FREE", 5.0, NUMBER,
        "Less free space than this is unhealthy.", "percent", least=0.0, most=100.0)
    soft_checks: tuple[str, ...] = _key("MINA_OPS_SOFT_CHECKS", (), TEXTS,
        "Checks whose failure gives 200 `degraded` instead of 503.")
    disabled_checks: tuple[str, ...] = _key("MINA_OPS_DISABLED_CHECKS", (), TEXTS,
        "Checks of parts that this app does not use.")
    flags_file: str | None = _key("MINA_OPS_FLAGS_FILE", None, TEXT_OR_NONE,
        "Last known flags, for a start without Redis; default: a file in the user's cache.")
    ofrep: bool = _key("MINA_OPS_OFREP", False, FLAG,
        "Serve OFREP (OpenFeature over HTTP) below /ofrep/v1 to tokens for flags or reading.")
    # fmt: on

    def __post_init__(self) -> None:
        for name in (self.environment, self.instance, self.product, *self.colours):
            if not _NAME.fullmatch(name):
                raise ConfigurationError(
                    f"{name!r} cannot name a colour, an instance or a product: use up to 32 "
                    "letters, digits, '-' and '_', starting with a letter or digit."
                )

    @property
    def process_id(self) -> str:
        """Name of this process among all of its colour: host, instance and pid."""
        return f"{socket.gethostname()}:{self.instance}:{os.getpid()}"


def load(config: Mapping[str, Any], environ: Mapping[str, str] | None = None) -> Settings:
    """Settings from an app's config and the environment.

    Raises:
        ConfigurationError: a `MINA_OPS_*` key of the config is unknown, or a value cannot be
            read or is out of its range; the message names the key.
    """
    environ = os.environ if environ is None else environ
    known = {rules.key: (spec.name, rules) for spec, rules in fields.declared(Settings)}
    _refuse_unknown(config, known)
    values: dict[str, Any] = {}
    for key, (name, rules) in known.items():
        raw = config.get(key)
        if raw is None and not rules.code_only:
            raw = environ.get(key)
        if raw is not None:
            values[name] = _read(key, raw, rules)
    return Settings(**values)


def _refuse_unknown(config: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    for key in config:
        if key.startswith("MINA_OPS_") and key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f" Did you mean {near[0]}?" if near else ""
            raise ConfigurationError(f"Unknown setting {key}.{hint} See docs/configuration.md.")


def _read(key: str, raw: Any, rules: Rules) -> Any:
    shown = "its value" if rules.secret else repr(raw)
    try:
        value = rules.kind.from_text(raw)
    except (KeyError, TypeError, ValueError) as exc:
        raise ConfigurationError(f"{key}: {shown} cannot be used: {rules.meaning}") from exc
    if not rules.holds(value):
        give = rules.range() or "a finite number"
        raise ConfigurationError(f"{key}: {shown} is out of range; give {give}.")
    return value


table = partial(fields.markdown, Settings)
"""The settings as a Markdown table, in the order of the class; for docs/configuration.md."""
