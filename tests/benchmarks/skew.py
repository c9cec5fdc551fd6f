"""Pages of two releases over many switches: lazily loaded files, API calls and forms that miss.

Each switch finds two tabs of one visitor open, the later of them opened just before it; both then
load a file that only their own release has, ask the API twice, and post a form. Ours goes through
canary, all and back, in front of real apps; beside it is the stock blue/green nginx, whose upstream
is rewritten and reloaded. A bounded part is done by two tabs of a real Chromium.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from itertools import cycle
from pathlib import Path

from mina_ops.demo import programs
from mina_ops.demo.processes import free_port
from mina_ops.demo.servers import nginx_configuration, start_gunicorn, start_nginx
from mina_ops.errors import ToolMissing
from mina_ops.operator.traffic.model import Split
from tests.benchmarks._report import Report, arguments
from tests.operator.balancers import Balancer, haproxy_in_front, nginx_in_front
from tests.operator.fronts import RealApps

HERE = Path(__file__).parent
RELEASES = {"blue": "v1.0.0", "green": "v2.0.0"}
# Green's share from switch to switch: a canary, all, three quarters back, all of it.
SHARES = (10, 50, 100, 25, 0, 100, 0)

Counts = dict[str, int]
Switch = Callable[[int], None]
Balancing = Callable[[Path, RealApps], AbstractContextManager[Balancer]]


@contextmanager
def real_apps(folder: Path) -> Iterator[RealApps]:
    """Both colours behind gunicorn, each with its release."""
    with ExitStack() as running:
        servers = {}
        for colour, version in RELEASES.items():
            server = start_gunicorn(
                folder,
                "tests.operator.traffic.versioned_host:app",
                worker_class="gthread",
                threads=8,
                environment={"ENVIRONMENT": colour, "APP_VERSION": version},
                import_from=HERE.parents[1],
                options=["--log-level", "error"],
                name=colour,
            )
            servers[colour] = running.enter_context(server)
        yield RealApps(servers)


class Tabs:
    """The two tabs, in a process of node."""

    def __init__(self, port: int, *, pinned: bool) -> None:
        site, kind = f"http://127.0.0.1:{port}", "pinned" if pinned else "plain"
        argv = [str(programs.node()), str(HERE / "_tabs.mjs"), site, kind]
        self._process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def tell(self, command: str) -> Counts:
        """Have it done; the counts so far."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{command}\n")
        self._process.stdin.flush()
        counts: Counts = json.loads(self._process.stdout.readline())
        return counts

    def close(self) -> None:
        self._process.communicate()


def series(tabs: Tabs, switch: Switch, shares: Iterator[int], times: int) -> Counts:
    """So many switches; what the tabs met."""
    tabs.tell("open")
    counts: Counts = {}
    for _ in range(times):
        tabs.tell("open")
        switch(next(shares))
        counts = tabs.tell("visit")
    tabs.close()
    return counts


def note(report: Report, name: str, switches: int, counts: Counts) -> None:
    report.figure(f"{name}_switches", switches, 0)
    for what, value in counts.items():
        report.figure(f"{name}_{what}", value, 0)


def measure_driver(report: Report, name: str, balancing: Balancing, options: Options) -> None:
    """Ours: with pages that name their release, in node, then in Chromium."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        with real_apps(folder) as apps, balancing(folder, apps) as balancer:

            def switch(percent: int) -> None:
                shares = {"blue": 100 - percent, "green": percent}
                balancer.driver.apply(Split(shares, {}, RELEASES))

            shares = cycle(SHARES)
            counts = series(Tabs(balancer.port, pinned=True), switch, shares, options.switches)
            note(report, name, options.switches, counts)
            for what in ("assets_404", "api_across", "forms_across", "failed"):
                report.goal(f"{name}_{what}", counts[what], 0)
            if options.browser:
                in_browser(report, name, balancer.port, switch, options.browser)


def in_browser(report: Report, name: str, port: int, switch: Switch, times: int) -> None:
    """The same by two tabs of Chromium, with mina-stream.js and a socket at each visit."""
    from tests.app.console.browsing import browser_of

    chromium = programs.installed("chromium", "Install Debian's chromium.")
    missed = across = 0
    shares = cycle(SHARES)
    with browser_of(chromium) as browser:
        context = browser.new_context()
        tabs = []
        for number in range(times):
            tabs = [*tabs[-1:], context.new_page()]
            tabs[-1].goto(f"http://127.0.0.1:{port}/")
            switch(next(shares))
            for tab in tabs:
                own = tab.title()
                file = f"lazy('browser{number}').catch(() => null)"
                missed += tab.evaluate(file) != own
                across += sum(tab.evaluate(ask) != own for ask in ("ask()", "ask()", "talk()"))
            if len(tabs) > 1:
                tabs[0].close()
    report.figure(f"{name}_chromium_switches", times, 0)
    report.goal(f"{name}_chromium_assets_404", missed, 0)
    report.goal(f"{name}_chromium_api_across", across, 0)


def measure_stock(report: Report, times: int) -> None:
    """The same by the usual recipe: the upstream is rewritten, `nginx -s reload`."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        with real_apps(folder) as apps:
            port, upstream, main = free_port(), folder / "upstream.conf", folder / "nginx.conf"
            site = (
                f"include {upstream};\nserver {{ listen 127.0.0.1:{port};\n"
                "location / { proxy_pass http://mina_backend; } }\n"
            )
            write_upstream(upstream, apps.servers["blue"].port)
            main.write_text(nginx_configuration(folder, site))
            binary = str(programs.nginx())

            def switch(percent: int) -> None:
                colour = "green" if percent == 100 else "blue"
                write_upstream(upstream, apps.servers[colour].port)
                argv = [binary, "-p", str(folder), "-c", str(main), "-s", "reload"]
                subprocess.run(argv, check=True, stderr=subprocess.DEVNULL)

            with start_nginx(folder, main, port=port):
                counts = series(Tabs(port, pinned=False), switch, cycle((100, 0)), times)
    note(report, "stock_nginx", times, counts)


def write_upstream(file: Path, port: int) -> None:
    file.write_text(f"upstream mina_backend {{ server 127.0.0.1:{port}; }}\n")


class Options:
    """What the command line asks for."""

    switches: int
    reloads: int
    browser: int
    json: bool


def main() -> int:
    """Measure both drivers and the stock recipe; 0 if every goal is met."""
    parser = arguments(__doc__)
    parser.add_argument("--switches", type=int, default=1000)
    parser.add_argument("--reloads", type=int, default=100, help="switches of the stock recipe")
    parser.add_argument("--browser", type=int, default=20, help="switches with Chromium; 0: none")
    options = parser.parse_args(namespace=Options())
    report = Report(options.json)
    nginx = programs.nginx()
    measure_driver(report, "nginx", lambda f, apps: nginx_in_front(f, apps, nginx), options)
    measure_stock(report, options.reloads)
    try:
        haproxy = programs.installed("haproxy", "Install Debian's haproxy.")
    except ToolMissing as error:
        report.say(f"HAProxy is left out: {error}")
        return report.finish()
    measure_driver(report, "haproxy", lambda f, apps: haproxy_in_front(f, apps, haproxy), options)
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
