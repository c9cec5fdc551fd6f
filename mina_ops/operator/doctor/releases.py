"""What a release needs (programs, channels), and what would keep one from starting."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

from mina_ops.errors import ConfigurationError, MinaOpsError
from mina_ops.operator.api.leases import SITE, Leases
from mina_ops.operator.config.settings import OperatorSettings
from mina_ops.operator.doctor.findings import Finding, fault, ok, unknown, warning
from mina_ops.operator.notify import channels
from mina_ops.operator.release import freeze, journal, lock, plan


def examine(settings: OperatorSettings) -> Iterator[Finding]:
    """Hooks' programs, channels, who holds the site, a freeze, and a release that never ended."""
    release = plan.read(settings)
    yield from _programs(release)
    yield from _channels(settings)
    yield from _lock(settings)
    yield from _leftovers(settings, release.folder)


def _programs(release: plan.Plan) -> Iterator[Finding]:
    named = {
        shlex.split(line)[0]: hook
        for hook, lines in release.hooks.items()
        for line in lines
        if shlex.split(line)
    }
    missing = {name: hook for name, hook in named.items() if shutil.which(name) is None}
    for name, hook in missing.items():
        yield fault("hooks", f"{hook} runs {name}, which is not here", f"install {name}")
    if not missing:
        yield ok("hooks", f"all programs are here: {', '.join(sorted(named)) or 'none is needed'}")


def _channels(settings: OperatorSettings) -> Iterator[Finding]:
    try:
        notifier = channels.from_table(settings.section("notify"))
    except ConfigurationError as error:
        yield fault("channels", str(error), "set the variable, or take the channel out")
        return
    names = [channel.name for channel in notifier.channels]
    if not names:
        yield warning(
            "channels", "nobody is told of anything", "add [notify.channels] to mina-ops.toml"
        )
    else:
        yield ok("channels", f"{', '.join(names)}; `mina-ops doctor --send` tries them")


def send_test(settings: OperatorSettings) -> Iterator[Finding]:
    """Send a message over every channel, which people will see; a finding for each channel."""
    notifier = channels.from_table(settings.section("notify"))
    for delivery in notifier.send("test", "A test by mina-ops doctor.\nNothing happened."):
        if delivery.delivered:
            yield ok("channels", f"{delivery.channel} took a test message")
        else:
            yield fault("channels", f"{delivery.channel}: {delivery.problem}", "correct its URL")


def _lock(settings: OperatorSettings) -> Iterator[Finding]:
    """Who holds the lease without which no command moves traffic."""
    try:
        holder = Leases(settings, SITE).holder()
    except MinaOpsError as error:
        yield unknown("lock", f"it is not known who holds the site: {error}")
        return
    if holder is None:
        yield ok("lock", "nobody holds the site")
        return
    who = f"{holder.user} on {holder.host}"
    yield warning("lock", f"{who} holds the site for: {holder.purpose}", "mina-ops lock")


def _leftovers(settings: OperatorSettings, folder: Path) -> Iterator[Finding]:
    held = freeze.holding(settings, folder)
    if held is not None:
        yield warning("releases", held.describe(), "mina-ops release unfreeze")
    newest = journal.latest(folder)
    if newest is None:
        yield ok("releases", "none yet")
        return
    progress = newest.progress()
    if progress.ended:
        yield ok("releases", f"the newest, {newest.release_id}, ended: {progress.phase}")
    elif lock.is_held(folder):
        yield ok("releases", f"{newest.release_id} is running: {progress.phase}")
    else:
        yield fault(
            "releases",
            f"{newest.release_id} stands at {progress.phase}, and nobody is at work on it",
            "mina-ops release resume, or mina-ops release abort",
        )
