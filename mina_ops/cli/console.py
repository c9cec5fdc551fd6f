"""`mina-ops console`: open the console, or serve it while both colours are down."""

from __future__ import annotations

import webbrowser
from urllib.parse import urlsplit

import click

from mina_ops.cli import output
from mina_ops.cli.session import Session


@click.command(name="console")
@click.option("--path", default="/mina-ops/", show_default=True, help="Where the app serves it.")
@click.option("--serve", is_flag=True, help="Serve it here, read-only, whether the app can or not.")
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=8099,
    show_default=True,
    help="Serve it at this port of loopback; 0: a free one.",
)
@click.option("--no-browser", is_flag=True, help="Print the address; open no browser.")
@output.json_option
@click.pass_obj
def command(session: Session, path: str, serve: bool, port: int, no_browser: bool) -> None:
    """Open the console of a colour that answers.

    While none does, the same page is served on this machine's loopback, read-only, from the
    journals and the load balancer, until Ctrl-C.
    """
    from mina_ops.operator.console import answering, serving

    found = None if serve else answering.first(session.settings, path)
    if found is not None:
        _tell(found, no_browser=no_browser)
        return
    with serving.running(session.settings, port) as server:
        url = f"http://127.0.0.1:{server.port}/"
        output.say("Served from here, read-only, until Ctrl-C: no colour answers.")
        _tell(url, no_browser=no_browser)
        server.wait()


def _tell(url: str, *, no_browser: bool) -> None:
    output.data({"url": url}, url)
    # A browser is opened for a person who can see one.
    if not no_browser and not output.is_json() and urlsplit(url).hostname:
        webbrowser.open(url)
