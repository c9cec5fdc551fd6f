"""The table of docs/concepts.md that `analysis.py --write` generates from its figures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[2] / "docs" / "concepts.md"
_BEGIN, _END = "<!-- analysis.py --write: begin -->\n", "<!-- analysis.py --write: end -->\n"

Figures = Mapping[str, Any]


def write(figures: Figures) -> None:
    """Put the table between its marks in docs/concepts.md."""
    head, rest = PAGE.read_text().split(_BEGIN)
    tail = rest.split(_END)[1]
    PAGE.write_text(f"{head}{_BEGIN}{table(figures)}{_END}{tail}")


def table(figures: Figures) -> str:
    """Ours beside the oracle and the peers, then what became of healthy releases."""
    lines = ["| at | mina_ops | e-process | Flagger | Argo Rollouts |", "| --- |" + " --- |" * 4]
    lines += [f"| {' | '.join(row)} |" for row in _rows(figures)]
    return "\n".join([*lines, "", *_healthy(figures)]) + "\n"


def _rows(f: Figures) -> list[tuple[str, ...]]:
    rows = []
    for rate, said in (("0.5", "0.5 requests"), ("1", "1 request"), ("5", "5 requests")):
        name = f"errors_10_percent_at_{rate}_rps"
        peers = [f[f"{peer}_{name}_seen_median_s"] for peer in ("e_process", "flagger", "argo")]
        seen = (_seconds(v) for v in (f[f"{name}_first_step_seen_median_s"], *peers))
        rows.append(
            (f"10 % errors, {said} a second, first share of 10 %: median until seen", *seen)
        )
    first = _percent(f["errors_10_percent_at_1_rps_back_in_first_step_ratio"])
    what = "the same at 1 request a second: taken back within the first step and its patience"
    rows.append((what, first, "", "", ""))
    healthy = "healthy_at_1_rps_share_25_rolled_back_ratio"
    shown = [_percent(f[f"{peer}{healthy}"]) for peer in ("", "flagger_", "argo_")]
    what = "healthy, 1 request a second, share of 25 %: rolled back"
    rows.append((what, shown[0], "", *shown[1:]))
    late = "errors_6_percent_mid_step_at_50_rps_seen"
    unaware = f"{_seconds(f[f'e_process_unaware_{late}_median_s'])} (unaware)"
    what = "6 % errors that begin in mid-step, 50 requests a second"
    rows.append((what, f"{_seconds(f[f'{late}_p95_s'])} (19 of 20)", unaware, "", ""))
    return [*rows, *_rows_of_p95(f)]


def _rows_of_p95(f: Figures) -> list[tuple[str, ...]]:
    called = f"Kayenta {_percent(f['kayenta_healthy_at_1_rps_share_25_called_high_ratio'])}"
    ours = _percent(f["healthy_p95_at_1_rps_share_25_rolled_back_ratio"])
    needed = f"{f['p95_times_3_seen_samples']:g}"
    rows: list[tuple[str, ...]] = [
        ("P95 x 3: requests on green until seen, 19 of 20", needed, "", "", ""),
        ("P95 + 10 %, 1 request a second: called slower (Kayenta: U test)", ours, "", called, ""),
    ]
    for rate, said in (("1", "1 request"), ("5", "5 requests")):
        name = f"healthy_p95_at_{rate}_rps_first_step_pass"
        passed = f"{_percent(f[f'{name}_ratio'])}, median {_seconds(f[f'{name}_median_s'])}"
        what = f"healthy, {said} a second, first share: P95 passes within step and patience"
        rows.append((what, passed, "", "", ""))
    for minutes, said in ((60, "one hour"), (120, "two hours")):
        name = f"healthy_while_p95_doubles_in_{minutes}_min_at_50_rps_rolled_back_ratio"
        what = f"healthy, while both colours' P95 doubles within {said}: rolled back"
        rows.append((what, _percent(f[name]), "", "", ""))
    return rows


def _healthy(f: Figures) -> list[str]:
    always, day = f["simulated_healthy_releases"], f["simulated_healthy_in_a_day_releases"]
    back = f["healthy_releases_rolled_back"] + f["healthy_in_a_day_releases_rolled_back"]
    return [
        f"Of {always + day:,.0f} healthy releases (up to 1 % errors, up to 20 % slower, 0.5 to 50 "
        f"requests a second), {day:,.0f} of them whole releases in the course of a day, "
        f"{back or 'none'} {'were' if back > 1 else 'was'} rolled back."
    ]


def _seconds(value: float | None) -> str:
    return "never for half" if value is None else f"{value:g} s"


def _percent(ratio: float) -> str:
    return f"{100 * ratio:.3g} %"
