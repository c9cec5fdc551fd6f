from __future__ import annotations

import pytest

from mina_ops.app.web.client import client_of


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("198.51.100.1", None, "198.51.100.1"),
        # The load balancer says whom it saw; what the client had said before is not believed.
        ("127.0.0.1", "203.0.113.9, 198.51.100.1", "198.51.100.1"),
        ("", "198.51.100.1", "198.51.100.1"),
        # Nobody stands between: the header is the client's own.
        ("8.8.8.8", "198.51.100.1", "8.8.8.8"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "unknown", "unknown"),
        ("::ffff:198.51.100.1", None, "198.51.100.1"),
    ],
)
def test_a_client_is_the_address_that_our_own_proxy_saw(
    peer: str, forwarded: str | None, client: str
) -> None:
    environ = {"REMOTE_ADDR": peer}
    if forwarded is not None:
        environ["HTTP_X_FORWARDED_FOR"] = forwarded
    assert client_of(environ) == client


def test_all_addresses_of_one_ipv6_network_are_one_client() -> None:
    one, other, stranger = (
        client_of({"REMOTE_ADDR": address})
        for address in ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2", "2001:db8:0:2::1")
    )
    assert one == other != stranger


def test_where_the_host_has_sorted_out_its_proxies_its_word_counts() -> None:
    environ = {
        "REMOTE_ADDR": "10.1.1.1",
        "HTTP_X_FORWARDED_FOR": "10.1.1.1, 10.9.9.9",
        "werkzeug.proxy_fix.orig": {},
    }
    assert client_of(environ) == "10.1.1.1"
