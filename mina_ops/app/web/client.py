"""Tells clients apart by address, so that one whose handshakes always fail counts once."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from ipaddress import IPv6Address, ip_address
from typing import Any

_NETWORK_BITS = 64
_LONGEST_AGENT = 120


def client_of(environ: Mapping[str, Any]) -> str:
    """The client's address; of an IPv6 address its /64 network, which one machine may have alone.

    Behind a proxy it is the last address of `X-Forwarded-For`: that one the proxy saw itself,
    while the client can send anything as those before it. A peer with a public address is no
    proxy of ours, unless the host's own `ProxyFix` says so.
    """
    peer = str(environ.get("REMOTE_ADDR") or "")
    told = str(environ.get("HTTP_X_FORWARDED_FOR") or "").rpartition(",")[2].strip()
    if told and "werkzeug.proxy_fix.orig" not in environ and not _is_public(peer):
        return _network(told)
    return _network(peer)


def agent_of(environ: Mapping[str, Any]) -> str:
    """The client's user agent, its printable characters; "" if it sends none."""
    told = str(environ.get("HTTP_USER_AGENT") or "")[:_LONGEST_AGENT]
    # One object for all the sessions of one browser.
    return sys.intern("".join(c for c in told if c.isprintable()))


def _is_public(address: str) -> bool:
    try:
        return ip_address(address).is_global
    except ValueError:
        # A Unix socket has no address.
        return False


def _network(address: str) -> str:
    try:
        found = ip_address(address.strip("[]"))
    except ValueError:
        return address[:64]
    if isinstance(found, IPv6Address):
        mapped = found.ipv4_mapped
        return str(mapped) if mapped else f"{int(found) >> _NETWORK_BITS:x}"
    return str(found)
