"""What the demo reads from its environment, as a Flask config.

| key | default | meaning |
| --- | --- | --- |
| `DATABASE_URL` | `sqlite:///mina.db` in `.demo/` of the working directory | the app's database |
| `REDIS_URL` | none: memory of this process | where both colours keep the chunk ledger |
| `SECRET_KEY` | a random one | signs the login cookie; both colours need the same |
| `SECRET_KEY_FALLBACKS` | none | earlier keys, by commas, that still verify |
| `TEST_TOKEN` | none | bearer token that acts as the user `smoke` |
| `OPENAI_BASE_URL`, `OPENAI_API_KEY` | OpenAI's own | where summaries come from |
| `DEMO_ERROR_PERCENT` | 0 | share of API requests answered with 500 |
| `DEMO_SLOW_MS` | 0 | latency added to each API request |
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any


def from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    """The demo's Flask config; settings of mina_ops itself are read by `MinaOps`."""
    url = environ.get("DATABASE_URL") or "sqlite:///mina.db"
    return {
        "SQLALCHEMY_DATABASE_URI": with_driver(url),
        "REDIS_URL": environ.get("REDIS_URL"),
        "SECRET_KEY": environ.get("SECRET_KEY") or secrets.token_hex(32),
        "SECRET_KEY_FALLBACKS": [
            key for key in environ.get("SECRET_KEY_FALLBACKS", "").split(",") if key
        ],
        "TEST_TOKEN": environ.get("TEST_TOKEN"),
        "OPENAI_BASE_URL": environ.get("OPENAI_BASE_URL"),
        "OPENAI_API_KEY": environ.get("OPENAI_API_KEY") or "demo",
        "DEMO_ERROR_PERCENT": _number(environ, "DEMO_ERROR_PERCENT", 100.0),
        "DEMO_SLOW_MS": _number(environ, "DEMO_SLOW_MS", 60_000.0),
        "SESSION_COOKIE_SAMESITE": "Lax",
    }


def with_driver(url: str) -> str:
    """The same database reached through psycopg 3, for the usual spellings of PostgreSQL."""
    for prefix in ("postgres://", "postgresql://"):
        if url.startswith(prefix):
            return "postgresql+psycopg://" + url.removeprefix(prefix)
    return url


def _number(environ: Mapping[str, str], key: str, most: float) -> float:
    text = environ.get(key) or "0"
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= most:
        raise ValueError(f"{key}={text!r} cannot be used: give a number from 0 to {most:g}.")
    return value
