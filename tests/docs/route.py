"""The pages whose shell blocks are typed, in their order, and what must be so before a line.

One site serves them all: a page finds it as the one before left it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tests.docs.site import COLOURS, Site
from tests.support.hosts import REPOSITORY
from tests.support.pages import blocks
from tests.support.stock import StockClients
from tests.support.wait import eventually
from tests.support.webhook import receiving

Given = Mapping[str, Callable[[Site], None]]


def _app(site: Site) -> None:
    page = blocks(REPOSITORY / "docs" / "quickstart.md")
    site.write("app.py", next(block.text for block in page if block.language == "python"))
    where = "python -c 'import mina_ops; print(mina_ops.__file__)'"
    assert "site-packages" in site.type(where)


def _start_all(site: Site) -> None:
    site.start_nginx()
    for colour in COLOURS:
        site.restart(colour)


def _blue_takes_the_next(site: Site) -> None:
    site.type("mina-ops drain blue --cancel")
    site.restart("blue", "v2.5.0")


def _a_channel(site: Site) -> None:
    site.add("apprise")
    webhook = site.running.enter_context(receiving())
    site.append(f'[notify.channels.oncall]\nurl = "{webhook.url}"\n')


def _people(site: Site) -> None:
    site.write("people.csv", "ana@example.com,Ana\n")
    (site.bin / "sendmail").write_text(f"#!/bin/sh\ncat >>{site.folder}/letters\n")
    (site.bin / "sendmail").chmod(0o755)
    site.append('[incident]\nrecipients = ["cat", "people.csv"]\nsender = "ops@example.com"\n')


def _secrets(site: Site) -> None:
    site.append('[incident.secrets]\nfile = "mina.env"\nreload = ["./restart", "{colour}"]\n')


def _hotfix(site: Site) -> None:
    """A repository with a remote, and a colour that may take a release."""
    site.type("git init -q --bare ../remote && git init -q && git add app.py")
    site.type("git -c user.name=a -c user.email=a@b.co commit -qm fix")
    site.type("git remote add origin ../remote && git push -qu origin HEAD")
    start = 'start = ["./restart {to} {version}"]\n'
    site.edit("mina-ops.toml", "[release.hooks]\n", f"[release.hooks]\n{start}")
    site.type("mina-ops drain blue --cancel")


def _green_waits(site: Site) -> None:
    site.type("mina-ops rollback --to blue")
    site.type("mina-ops drain green --cancel")
    assert site.serving() == "blue"


def _as_in_cli(site: Site) -> None:
    _green_waits(site)
    for colour, version in zip(COLOURS, ("v2.4.5", "v2.5.0"), strict=True):
        site.restart(colour, version)


def _somebody_is_on_blue(site: Site) -> None:
    site.type("mina-ops switch green blue --instant")
    site.running.enter_context(StockClients()).connect(site.url("public"))


def _a_quarter(site: Site) -> None:
    site.type("mina-ops drain blue --cancel; mina-ops switch blue green --canary 25")


def _a_judge_is_configured(site: Site) -> None:
    site.environment["MINA_OPS_JUDGE_TOKEN"] = "of-the-engine-" + "x" * 32


def _a_release_runs(site: Site) -> None:
    """Blue serves v1, green has v2, which somebody has just begun to release."""
    site.type("mina-ops drain green --cancel; mina-ops drain blue --cancel")
    for colour, version in zip(COLOURS, ("v1", "v2"), strict=True):
        site.restart(colour, version)
    site.type("mina-ops switch green blue --instant; rm -r releases", None)
    assert site.serving() == "blue"
    site.edit("mina-ops.toml", "step_seconds = 1", "step_seconds = 60")
    site.begin("mina-ops release start v2")
    eventually(lambda: _waits_for_visitors(site), 30, "no release waits at its first share")


def _waits_for_visitors(site: Site) -> bool:
    """The first share is given and was judged: nobody visits, so its triggers wait for samples."""
    status = site.type("mina-ops release status", None)
    return "10 % on green" in status and "waits for:" in status


ROUTE: Mapping[str, Given] = {
    "docs/quickstart.md": {
        "mina-ops init": _app,
        "mina-ops traffic install": _start_all,
        "mina-ops release start v2.5.0 --dry-run": _blue_takes_the_next,
    },
    "docs/emergency.md": {
        "mina-ops notify drill": _a_channel,
        "./scripts/notify_users.sh": _people,
        "./scripts/rotate_secrets.sh": _secrets,
        "git push": _hotfix,
    },
    "README.md": {"curl https://mina-green": _green_waits},
    "docs/cli.md": {
        "mina-ops status": _as_in_cli,
        "mina-ops drain blue --wait": _somebody_is_on_blue,
    },
    "docs/flags.md": {},
    "docs/metrics.md": {},
    "docs/security.md": {},
    "docs/playbook.md": {},
    "nginx/README.md": {"curl -s -H": _a_quarter},
    "docs/guests.md": {"mina-ops judge": _a_judge_is_configured},
    "docs/releases.md": {"mina-ops release status": _a_release_runs},
}
