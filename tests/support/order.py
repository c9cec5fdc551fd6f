"""Which files of tests begin first, where several run side by side.

pytest-xdist begins with the files that hold the most tests. Ours that take minutes hold few, so
they would begin last, and one processor would end long after the others.
"""

from __future__ import annotations

from pathlib import Path

import pytest

_TESTS = Path(__file__).parents[1]
LONGEST = (
    "demo/test_play.py",
    "app/drain/test_drain_faults.py",
    "playbook/test_recover.py",
    "docs/test_as_typed.py",
    "app/flags/test_flags_outage.py",
    "operator/secrets/test_rotation.py",
    "app/flags/test_flags_rollout.py",
    "playbook/test_session.py",
    "app/drain/test_endings.py",
    "operator/traffic/test_no_share.py",
    "app/metrics/test_metrics_processes.py",
    "playbook/test_load_test.py",
    "app/drain/test_drain_sigterm.py",
    "demo/test_smoke.py",
    "operator/release/test_release.py",
    "demo/test_app.py",
    "demo/test_live_page.py",
    "app/recovery/test_recovery_over_colours.py",
    "app/flags/test_flags_processes.py",
    "app/drain/test_drain_playbook.py",
    "app/sessions/test_wscat.py",
    "app/console/test_console.py",
    "app/health/test_health_hanging.py",
    "app/console/test_release_from_the_page.py",
    "app/drain/test_drain_handover.py",
    "operator/traffic/test_unix_sockets.py",
    "operator/release/test_fault_matrix.py",
    "operator/release/test_steering.py",
    "app/drain/test_drain_python_clients.py",
    "app/drain/test_drain_moves.py",
    "operator/traffic/test_pages.py",
    "operator/release/test_balancer_faults.py",
    "operator/secrets/test_rotation_under_load.py",
    "app/drain/test_drain_stock_clients.py",
    "operator/traffic/test_http2.py",
    "operator/doctor/test_sockets.py",
    "app/metrics/test_metrics_prometheus.py",
    "app/test_siblings.py",
    "operator/release/test_options.py",
    "app/test_real_host.py",
    "app/health/test_silent_names.py",
    "app/recovery/test_many_moves.py",
    "operator/traffic/test_contract.py",
    "operator/release/test_flags.py",
    "operator/release/test_resume.py",
    "app/health/test_health_processes.py",
    "app/drain/test_drain_command.py",
    "app/drain/test_half_arrived.py",
    "operator/release/test_beside_a_flood.py",
    "app/test_host_clocks.py",
    "operator/secrets/test_rotation_faults.py",
    "operator/database/backup/test_elsewhere.py",
    "app/health/test_chatty_hosts.py",
    "operator/release/test_clock.py",
    "app/metrics/test_metrics_outages.py",
)
"""Files that take longer than half a minute, the longest first; as `--durations=400` shows them.

One that is missing here, or stands at a wrong place, costs time and nothing else.
"""
_RANKS = {_TESTS / name: rank for rank, name in enumerate(LONGEST)}


def rank(item: pytest.Item) -> int:
    """The place of a test's file; all that are not in `LONGEST` share the last one."""
    return _RANKS.get(item.path, len(LONGEST))
