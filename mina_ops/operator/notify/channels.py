"""Tell people: each channel by its apprise URL, retried, and never longer than a deadline.

    [notify]
    deadline_seconds = 10
    tries = 3
    [notify.channels.oncall]
    url_env = "ONCALL_URL"                 # slack://..., mailto://..., pagerduty://..., json://...
    events = ["rollback", "security"]      # default: all

A channel that is down or slow never holds up a rollback: what is not delivered by the deadline
is reported as such and left behind.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mina_ops.errors import ConfigurationError
from mina_ops.fields import NUMBER, TEXT_OR_NONE, TEXTS, WHOLE, setting
from mina_ops.operator.config.tables import Table

_FIRST_PAUSE_SECONDS = 0.5
DRILL = "drill"
"""An event that every channel hears of, whatever its `events`: only so is each of them tried."""

_BAD_NEWS = ("rollback", "alert", "security", "hotline", "incident", "failed")


@dataclass(frozen=True)
class NotifyOptions:
    """The table `[notify]`, without its channels."""

    deadline_seconds: float = setting(
        10.0, NUMBER, "how long a message may hold up a command", "seconds", least=0.1, most=120
    )
    tries: int = setting(3, WHOLE, "how often each channel is tried", least=1, most=10)


@dataclass(frozen=True)
class ChannelOptions:
    """A table `[notify.channels.NAME]`: one of `url` and `url_env`."""

    url: str | None = setting(
        None, TEXT_OR_NONE, "its apprise URL; `url_env` keeps its key out of the file", secret=True
    )
    url_env: str | None = setting(None, TEXT_OR_NONE, "variable that holds the URL")
    events: tuple[str, ...] = setting((), TEXTS, "what it hears of", shown="everything")


@dataclass(frozen=True)
class Channel:
    """One way to reach people; without `events` it hears of everything."""

    name: str
    url: str = field(repr=False)
    events: tuple[str, ...] = ()

    def hears(self, event: str) -> bool:
        """Whether this channel is told of such an event."""
        return not self.events or event in self.events or event == DRILL


@dataclass
class Delivery:
    """How one channel fared; `problem` says what went wrong last, without the URL."""

    channel: str
    delivered: bool = False
    tries: int = 0
    problem: str = "not begun"


class Notifier:
    """Sends to every channel at once. Safe to share between threads."""

    def __init__(
        self,
        channels: Sequence[Channel] = (),
        *,
        deadline_seconds: float = NotifyOptions.deadline_seconds,
        tries: int = NotifyOptions.tries,
    ) -> None:
        self.channels = tuple(channels)
        self.deadline_seconds = deadline_seconds
        self.tries = tries

    def send(
        self, event: str, text: str, *, deadline_seconds: float | None = None
    ) -> list[Delivery]:
        """How each channel that hears of `event` fared. Never raises; blocks up to the deadline.

        Args:
            event: such as `rollback`, `release`, `alert`, `security`, `hotline`.
            text: the message; its first line is the title.
            deadline_seconds: default: the one of mina-ops.toml.
        """
        limit = self.deadline_seconds if deadline_seconds is None else deadline_seconds
        deadline = time.monotonic() + limit
        sent = [(channel, Delivery(channel.name)) for channel in self.channels]
        sent = [(channel, delivery) for channel, delivery in sent if channel.hears(event)]
        threads = [
            threading.Thread(
                target=self._deliver,
                args=(channel, delivery, event, text, deadline),
                name=f"notify-{channel.name}",
                # A hung channel must not keep the command from ending.
                daemon=True,
            )
            for channel, delivery in sent
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        for thread, (_, delivery) in zip(threads, sent, strict=True):
            if thread.is_alive():
                delivery.problem = f"no answer within {limit:g} s"
        # Copies: a thread that is late must not change what was reported.
        return [Delivery(**vars(delivery)) for _, delivery in sent]

    def _deliver(
        self, channel: Channel, delivery: Delivery, event: str, text: str, deadline: float
    ) -> None:
        pause = _FIRST_PAUSE_SECONDS
        while delivery.tries < self.tries:
            delivery.tries += 1
            problem = _try_once(channel, event, text)
            if problem is None:
                delivery.delivered, delivery.problem = True, ""
                return
            delivery.problem = problem
            if delivery.tries == self.tries or time.monotonic() + pause > deadline:
                return
            time.sleep(pause)
            pause *= 2


def from_table(table: Table, environ: Mapping[str, str] | None = None) -> Notifier:
    """The notifier that `[notify]` describes; without channels it tells nobody.

    Raises:
        ConfigurationError: a key is wrong, or a channel's variable is not set.
    """
    environ = os.environ if environ is None else environ
    listed = table.table("channels")
    channels = [_channel(listed.table(name), name, environ) for name in listed.keys()]  # noqa: SIM118
    options = table.fill(NotifyOptions)
    return Notifier(channels, deadline_seconds=options.deadline_seconds, tries=options.tries)


def usable(table: Table, environ: Mapping[str, str] | None = None) -> tuple[Notifier, list[str]]:
    """A notifier of the channels that can be used, and what is wrong with the others.

    For emergencies: one variable that is not set must not silence everybody.
    """
    environ = os.environ if environ is None else environ
    channels, problems = [], []
    try:
        listed = table.table("channels")
        names = listed.keys()
    except ConfigurationError as error:
        return Notifier(), [str(error)]
    for name in names:
        try:
            channels.append(_channel(listed.table(name), name, environ))
        except ConfigurationError as error:
            problems.append(str(error))
    return Notifier(channels), problems


def _channel(table: Table, name: str, environ: Mapping[str, str]) -> Channel:
    options = table.fill(ChannelOptions)
    url, variable = options.url, options.url_env
    if (url is None) == (variable is None):
        raise table.wrong("url", "give either url or url_env (better: it keeps the key out).")
    if variable is not None:
        url = environ.get(variable, "").strip()
        if not url:
            raise ConfigurationError(f"{variable} is not set; it holds the URL of channel {name}.")
    return Channel(name, str(url), options.events)


def _try_once(channel: Channel, event: str, text: str) -> str | None:
    """What went wrong, or None. Whatever a plug-in of apprise raises is a failed try."""
    try:
        # Takes a third of a second, which only those who send should pay.
        import apprise
    except ImportError:
        return "apprise is not installed (pip install 'mina-ops[notify]')"
    try:
        reach = apprise.Apprise()
        if not reach.add(channel.url):
            return "its URL is none that apprise knows"
        title, _, rest = text.partition("\n")
        kind = apprise.NotifyType.FAILURE if event in _BAD_NEWS else apprise.NotifyType.INFO
        done = reach.notify(body=rest.strip() or title, title=f"Mina {event}", notify_type=kind)
    except Exception as exc:  # a plug-in may raise anything; a rollback goes on
        return f"the channel failed ({type(exc).__name__})"
    return None if done else "the channel did not take it"
