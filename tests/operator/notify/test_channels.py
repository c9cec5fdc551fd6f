"""People are told over every channel, with retries, and never later than the deadline."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from mina_ops.cli import main
from mina_ops.errors import ConfigurationError
from mina_ops.operator.config.tables import Table
from mina_ops.operator.notify.channels import Channel, Notifier, from_table
from tests.support.webhook import Webhook, receiving

# apprise imports a module that Python 3.13 drops, behind a shim of its own.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    with receiving() as server:
        yield server


@pytest.fixture
def hung() -> Iterator[str]:
    """A channel that accepts and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"json://127.0.0.1:{server.getsockname()[1]}/?rto=600&cto=600"


def test_each_channel_that_hears_of_the_event_is_told(webhook: Webhook) -> None:
    notifier = Notifier(
        [
            Channel("all", webhook.url),
            Channel("releases", webhook.url, ("release",)),
        ],
        deadline_seconds=60,
    )
    (delivery,) = notifier.send("rollback", "v2.5.0 rolled back\n8 % errors")
    assert (delivery.channel, delivery.delivered, delivery.tries) == ("all", True, 1)
    (message,) = webhook.messages
    assert message["title"] == "Mina rollback"
    assert message["message"] == "8 % errors"
    assert message["type"] == "failure"


def test_channel_that_fails_first_is_tried_again(webhook: Webhook) -> None:
    webhook.failures = 1
    notifier = Notifier([Channel("oncall", webhook.url)], deadline_seconds=60)
    (delivery,) = notifier.send("alert", "blue is unhealthy")
    assert (delivery.delivered, delivery.tries) == (True, 2)


def test_hung_channel_neither_blocks_nor_keeps_another_from_being_told(
    webhook: Webhook, hung: str
) -> None:
    notifier = Notifier([Channel("hung", hung), Channel("good", webhook.url)])
    deliveries = {d.channel: d for d in notifier.send("rollback", "now", deadline_seconds=8.0)}
    assert deliveries["good"].delivered
    assert not deliveries["hung"].delivered
    assert "no answer within 8 s" in deliveries["hung"].problem


def test_dead_and_nonsense_channels_are_reported_without_their_url() -> None:
    notifier = Notifier(
        [Channel("dead", "json://user:hush@127.0.0.1:1"), Channel("none", "nothing://hush")],
        tries=2,
    )
    deliveries = notifier.send("rollback", "now", deadline_seconds=15)
    assert [d.delivered for d in deliveries] == [False, False]
    assert "hush" not in repr(deliveries) + repr(notifier.channels)
    assert deliveries[1].problem == "its URL is none that apprise knows"


def test_without_channels_nobody_is_told_and_nothing_fails() -> None:
    assert Notifier().send("rollback", "now") == []


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"channels": {"a": {}}}, "either url or url_env"),
        ({"channels": {"a": {"url_env": "NOBODY_SET_THIS"}}}, "NOBODY_SET_THIS is not set"),
        ({"channels": {"a": {"url": "json://x", "event": ["x"]}}}, "Did you mean 'events'"),
        ({"tries": 0}, "at least 1"),
    ],
)
def test_wrong_settings_are_named(raw: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        from_table(Table(Path("mina-ops.toml"), "notify", raw), {})


def test_command_tells_and_says_who_was_missed(
    webhook: Webhook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONCALL", webhook.url)
    config = _config(
        tmp_path,
        '[notify]\ntries = 1\ndeadline_seconds = 60\n[notify.channels.oncall]\nurl_env = "ONCALL"\n'
        '[notify.channels.dead]\nurl = "json://127.0.0.1:1"\nevents = ["alert"]\n',
    )
    arguments = ["--config", str(config), "notify"]
    done = CliRunner().invoke(main, [*arguments, "rollback", "over"])
    assert (done.exit_code, done.stdout) == (0, "oncall: told\n")
    done = CliRunner().invoke(main, [*arguments, "alert", "over"])
    assert done.exit_code == 1
    assert "Not told: dead" in done.stderr
    done = CliRunner().invoke(main, [*arguments, "rollback", " "])
    assert done.exit_code == 2
    done = CliRunner().invoke(main, [*arguments, "alert", "over", "--dry-run"])
    assert done.stdout == "Would tell oncall, dead.\n"
    assert len(webhook.messages) == 2


def _config(folder: Path, notify: str) -> Path:
    config = folder / "mina-ops.toml"
    config.write_text(
        'public.url = "http://127.0.0.1:1"\ntraffic.driver = "command"\n'
        '[colours.blue]\nurl = "http://127.0.0.1:1"\n[colours.green]\nurl = "http://127.0.0.1:2"\n'
        + notify
    )
    return config


def test_a_drill_reaches_every_channel_whatever_it_hears_of(
    webhook: Webhook, tmp_path: Path
) -> None:
    config = _config(
        tmp_path,
        f'[notify.channels.oncall]\nurl = "{webhook.url}"\n'
        f'[notify.channels.releases]\nurl = "{webhook.url}"\nevents = ["release"]\n',
    )
    done = CliRunner().invoke(main, ["--config", str(config), "notify", "drill"])
    assert (done.exit_code, done.stdout) == (0, "oncall: told\nreleases: told\n")
    assert [message["title"] for message in webhook.messages] == ["Mina drill"] * 2
    assert all("nothing happened" in message["message"] for message in webhook.messages)


def test_a_drill_of_a_site_that_would_call_nobody_fails(tmp_path: Path) -> None:
    done = CliRunner().invoke(
        main, ["--config", str(_config(tmp_path, "[notify]\n")), "notify", "drill"]
    )
    assert done.exit_code == 1
    assert "Nobody would be called" in done.stderr
