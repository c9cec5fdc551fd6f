"""Names a process's vantage point, from which it sees what it shares with others.

What one process found counts for another only if both would have asked alike: from the same
machine and network, as the same user, with the same release, the same addresses and passwords.
"""

from __future__ import annotations

import hashlib
import os
import socket
from contextlib import suppress
from pathlib import Path

from mina_ops.app.database.connection import OwnConnection
from mina_ops.app.settings import Settings

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_NETWORK = Path("/proc/self/ns/net")
# Drivers and HTTP clients read these beside what they are told: PGPASSWORD, HTTPS_PROXY.
_TELLING = ("PG", "MYSQL", "SSL_", "HTTP_", "HTTPS_", "ALL_PROXY", "NO_PROXY", "AWS_", "GOOGLE_")


def vantage_of(settings: Settings, database: OwnConnection, key: str) -> str:
    """A short name that two processes share if they reach the database and the AI service alike.

    It stands in the store, so it must not tell a password to who can read there. Of what is
    secret only 16 bits go in: enough to notice a wrong password (of 65,536 one passes), too
    little to find the right one among a list of likely ones.

    Args:
        key: the app's secret key, "" if it has none.
    """
    open_parts = [_machine(), settings.version, settings.openai_base_url, database.address()]
    secret_parts = [settings.openai_api_key, database.login(), *_environment()]
    return f"{_digest(open_parts, key, 8)}{_digest(secret_parts, key, 2)}"


def _digest(parts: list[str | None], key: str, size: int) -> str:
    told = "\0".join(part or "" for part in parts).encode(errors="surrogateescape")
    secret = hashlib.sha256(key.encode(errors="surrogateescape")).digest()
    return hashlib.blake2b(told, key=secret, digest_size=size).hexdigest()


def _machine() -> str:
    """This machine since its last start, its network (a container has one of its own), the user."""
    found = [socket.gethostname(), str(os.geteuid())]
    with suppress(OSError):
        found += [_BOOT.read_text().strip(), str(_NETWORK.stat().st_ino)]
    return " ".join(found)


def _environment() -> list[str]:
    named = {name for name in os.environ if name.upper().startswith(_TELLING)}
    return [f"{name}={os.environ[name]}" for name in sorted(named)]
