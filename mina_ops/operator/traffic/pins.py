"""Notes which release each colour's open pages are of, so that they can stay with that colour.

A page that was loaded from blue's v1 names v1 in its requests. The split holds "blue: v1" from the
moment that blue has visitors until blue runs something else:

    switch blue green --instant    {"blue": "v1", "green": "v2"}: pages of v1 keep their API
    blue is deployed anew as v3    {"green": "v2"}: nobody may reach v3 by having named v1
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace

from mina_ops.errors import OperatorError
from mina_ops.operator.api.client import AppClient
from mina_ops.operator.config.colours import Colour
from mina_ops.operator.config.settings import OperatorSettings
from mina_ops.operator.system.patience import patient
from mina_ops.operator.traffic.model import Split, is_release

# A way back waits no longer than this for the name of a release.
_ANSWER_SECONDS = 1.0
# What an app calls itself to which nobody gave an APP_VERSION.
_UNNAMED = "unknown"


def pinned(settings: OperatorSettings, before: Split, wanted: Split) -> Split:
    """`wanted`, with the releases that pages may name while it is served.

    A colour counts that has visitors, before or after, or that still runs what it had them with.
    One that does not answer keeps the release that is known. Where both run the same one there
    is nothing to keep apart.

    Args:
        before: what is served now.

    Blocks up to a second, times MINA_OPS_PATIENCE.
    """
    asked = [
        colour
        for name, colour in settings.colours.items()
        if before.serves(name) or wanted.serves(name) or name in before.releases
    ]
    runs = {c.name: before.releases[c.name] for c in asked if c.name in before.releases}
    for name, version in _versions(asked).items():
        known = before.releases.get(name)
        if before.serves(name) or wanted.serves(name) or version == known:
            runs[name] = version
        else:
            runs.pop(name, None)
    names = list(runs.values())
    kept = {
        name: version
        for name, version in runs.items()
        if is_release(version) and version != _UNNAMED and names.count(version) == 1
    }
    return replace(wanted, releases=kept)


def forgetting(split: Split, colour: str) -> Split:
    """The same split, in which no page finds its release on that colour any more."""
    kept = {name: release for name, release in split.releases.items() if name != colour}
    return replace(split, releases=kept)


def _versions(colours: list[Colour]) -> dict[str, str]:
    """Colour -> the release that it runs; without those that do not say so in time."""
    if not colours:
        return {}
    pool = ThreadPoolExecutor(max_workers=len(colours))
    asks = {pool.submit(_version, colour): colour.name for colour in colours}
    done, _ = wait(asks, timeout=patient(_ANSWER_SECONDS))
    # Not waited for: one that hangs ends by its own time limit.
    pool.shutdown(wait=False)
    return {asks[ask]: version for ask in done if (version := ask.result()) is not None}


def _version(colour: Colour) -> str | None:
    seconds = patient(_ANSWER_SECONDS)
    try:
        with AppClient(colour.name, colour.url, answer_seconds=seconds) as client:
            return client.health().version
    except OperatorError:
        return None
