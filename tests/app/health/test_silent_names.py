"""Names of store and database that nobody resolves: look-ups hang, and nothing else does."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import httpx
import pytest

from mina_ops.demo import programs
from tests.app.health.probing import Probing
from tests.support.hosts import REPOSITORY, Hosts
from tests.support.needs import need
from tests.support.wait import eventually

SOURCE = REPOSITORY / "tests" / "support" / "silent_names.c"
QUICK = {
    "MINA_OPS_BEAT": "0.1",
    "MINA_OPS_HEALTH_INTERVAL": "0.2",
    "MINA_OPS_HEALTH_NEEDED": "1",
}
# What waited for a look-up would take far longer than this.
SILENT_SECONDS = 60
FROM_MEMORY_SECONDS = 1.0


@pytest.fixture
def silent_names(tmp_path: Path) -> dict[str, str]:
    """The environment of a process for which names that end in `.silent` are never resolved."""
    compiler = need(lambda: programs.installed("gcc", "Install Debian's gcc."))
    library = tmp_path / "silent_names.so"
    options = ("-O1", "-shared", "-fPIC", "-nostdlib", "-o")
    subprocess.run([str(compiler), *options, str(library), str(SOURCE)], check=True)
    return {"LD_PRELOAD": str(library), "SILENT_SECONDS": str(SILENT_SECONDS)}


@pytest.mark.parametrize("worker", ["gthread", "gevent", "eventlet"])
def test_a_name_that_nobody_resolves_delays_no_check_and_no_page(
    start_host: Hosts, silent_names: dict[str, str], worker: str
) -> None:
    environment = {
        **QUICK,
        **silent_names,
        "REDIS_URL": "redis://store.silent:6379/0",
        "DATABASE_URL": "postgresql+psycopg2://mina:pw@database.silent/x",
        "OWN_CHECK": "fail",
    }
    began = time.monotonic()
    host = start_host("tests.app.health.health_host:app", worker=worker, environment=environment)
    assert time.monotonic() - began < SILENT_SECONDS
    probing = Probing(host)
    # The host's own check is seen to fail long before a look-up ends.
    eventually(lambda: probing.state("queue")[0] == "unhealthy", 10, "a check to run")
    # eventlet asks name servers itself, and gets an answer: there is no such name.
    for check in ("database", "redis"):
        eventually(lambda check=check: probing.state(check)[1] in ("timeout", "dns"), 15)
    assert httpx.get(host.url, timeout=10).text == "hello"
    for _ in range(30):
        assert probing.ask("/live")[0] == 200
    assert probing.quantile(0.9) < FROM_MEMORY_SECONDS
