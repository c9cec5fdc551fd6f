"""The forms of a log line that are read: one function for each.

- nginx's and Apache's `combined`, also with the virtual host before it or more behind it, which is
  gunicorn's access log too
- JSON, one object a line, with the usual names of nginx, Caddy, Traefik and others
- HAProxy's `option httplog` and `httpslog`, with syslog's prefix or without
- the app's own `REQUEST GET /path`

Other forms are better read by a tool made for that, such as GoAccess (`--log-format`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

_QUOTED = r'"((?:[^"\\]|\\.)*)"'
# Source: ngx_http_log_module, Apache's mod_log_config (vhost_combined), gunicorn's glogging.
_COMBINED = re.compile(
    r"(?:\S+ )?(?P<address>\S+) \S+ (?P<user>\S+) \[(?P<time>[^\]]+)\] "
    rf"{_QUOTED.replace('(', '(?P<request>', 1)} (?P<status>\d{{3}}) (?P<bytes>\d+|-)"
    rf"(?: {_QUOTED.replace('(', '(?:', 1)} {_QUOTED.replace('(', '(?P<agent>', 1)})?"
)
# Source: HAProxy 2.6 configuration manual, 8.2.3 (HTTP log format).
_HAPROXY = re.compile(
    r"(?:^|\s)(?P<address>[0-9A-Fa-f.:]+|unix):\d+ "
    r"\[(?P<time>\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d)\.\d+\] \S+ \S+/\S+ [-+\d]+(?:/[-+\d]+){4} "
    r"(?P<status>-?\d{1,3}) [+]?(?P<bytes>\d+) .*?"
    rf"{_QUOTED.replace('(', '(?P<request>', 1)}"
)
# What HAProxy writes without `option httplog`: who came, and nothing of what was asked.
_HAPROXY_DEFAULT = re.compile(r"Connect from (?P<address>\S+):\d+ to \S+ \(\S+/\w+\)\s*$")
# What it says of itself between the requests.
_HAPROXY_NOTICE = re.compile(
    r"haproxy\[\d+\]: (?:\[\w+\] |Proxy |Server |Health check |[Bb]ackend |Stopping |Pausing |"
    r"Enabling |Loading |New |Exiting |\S+ \[[^\]]+\] \S+/\S+: (?:SSL|Connection))"
)
# A copy (`shadow=1`) counts like any other: whoever could mark his own requests would hide them.
_OWN = re.compile(
    r"(?:^|\s)REQUEST (?P<method>\S+) (?P<path>\S+)(?: user_id=(?P<user>\S+))?(?: shadow=1)?\s*$"
)
_ANY_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d")
_TIME = "%d/%b/%Y:%H:%M:%S %z"
_NAMES: Mapping[str, tuple[str, ...]] = {
    "time": ("time_iso8601", "time_local", "timestamp", "@timestamp", "time", "StartUTC", "ts",
             "msec", "date"),
    "address": ("remote_addr", "client_ip", "remote_ip", "ClientHost", "clientip", "client_addr",
                "remote_address", "client", "ip", "address"),
    "request": ("request", "request_line"),
    "method": ("request_method", "method", "RequestMethod", "http_method", "verb"),
    "path": ("request_uri", "uri", "RequestPath", "path", "url", "request_path"),
    "status": ("status", "status_code", "DownstreamStatus", "response_status", "code"),
    "bytes": ("body_bytes_sent", "bytes_sent", "DownstreamContentSize", "bytes", "size",
              "response_size"),
    "agent": ("http_user_agent", "user_agent", "request_User-Agent", "userAgent", "agent",
              "User-Agent"),
}  # fmt: skip


@dataclass(frozen=True)
class Access:
    """One request; `method` and `path` are empty where the request line was no HTTP.

    `status` is 0 where the line does not tell it, `address` "-".
    """

    at: datetime
    address: str
    method: str
    path: str
    status: int
    bytes: int
    agent: str


def combined(line: str) -> Access | None:
    """`address - user [time] "GET / HTTP/1.1" 200 12 "referer" "agent"`."""
    match = _COMBINED.match(line)
    if match is None:
        return None
    try:
        at = datetime.strptime(match["time"], _TIME).astimezone(UTC)
    except ValueError:
        return None
    method, path = _request(match["request"])
    size = int(match["bytes"]) if match["bytes"] != "-" else 0
    status = int(match["status"])
    return Access(at, match["address"], method, path, status, size, match["agent"] or "")


def haproxy(line: str) -> Access | None:
    """`client:port [time] frontend backend/server 1/2/3/4/5 200 12 ... "GET / HTTP/1.1"`.

    HAProxy writes local time without a zone; it is taken as this machine's.
    """
    match = _HAPROXY.search(line)
    if match is None:
        return None
    try:
        at = datetime.strptime(match["time"], "%d/%b/%Y:%H:%M:%S").astimezone(UTC)
    except ValueError:
        return None
    method, path = _request(match["request"])
    status = max(int(match["status"]), 0)
    return Access(at, match["address"], method, path, status, int(match["bytes"]), "")


def of_json(line: str) -> Access | None:
    """One JSON object, perhaps behind syslog's prefix."""
    begin = line.find("{")
    if begin < 0:
        return None
    try:
        found = json.loads(line[begin:])
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    facts = {name: _first(_flat(found), keys) for name, keys in _NAMES.items()}
    at = _moment(facts["time"])
    method, path = str(facts["method"] or ""), str(facts["path"] or "")
    if isinstance(facts["request"], str) and not (method and path):
        method, path = _request(facts["request"])
    if at is None or not path or facts["address"] is None:
        return None
    return Access(
        at, str(facts["address"]), method, path, _number(facts["status"]),
        _number(facts["bytes"]), _text(facts["agent"]),
    )  # fmt: skip


def own(line: str) -> Access | None:
    """The app's own `[2025-10-25 10:15:23] REQUEST GET /path user_id=7`; it knows no address."""
    match = _OWN.search(line)
    time = _ANY_TIME.search(line)
    at = _moment(time[0]) if match and time else None
    if match is None or at is None:
        return None
    who = f"user {match['user']}" if match["user"] else "-"
    return Access(at, who, match["method"], match["path"], 0, 0, "")


FORMATS: Mapping[str, Callable[[str], Access | None]] = {
    "combined": combined,
    "haproxy": haproxy,
    "json": of_json,
    "own": own,
}
"""Name -> reader of one line."""


def is_no_request(line: str) -> bool:
    """Whether the line is known and tells of no request: empty, or a notice of HAProxy."""
    return not line.strip() or _HAPROXY_NOTICE.search(line) is not None


def is_connection(line: str) -> bool:
    """Whether HAProxy was not told to log what is asked (`option httplog`)."""
    return _HAPROXY_DEFAULT.search(line) is not None


def _request(text: str) -> tuple[str, str]:
    parts = text.split(" ")
    return (parts[0], parts[1]) if len(parts) == 3 else ("", text)


def _flat(found: Mapping[str, Any]) -> dict[str, Any]:
    """Its values, and those of the objects in it (Caddy keeps the request in one)."""
    inner = {k: v for held in found.values() if isinstance(held, dict) for k, v in held.items()}
    headers = inner.get("headers")
    more = headers if isinstance(headers, dict) else {}
    plain = {k: v for k, v in found.items() if not isinstance(v, dict)}
    return {**more, **inner, **plain}


def _first(found: Mapping[str, Any], keys: tuple[str, ...]) -> Any:
    return next((found[key] for key in keys if found.get(key) not in (None, "")), None)


def _moment(value: Any) -> datetime | None:
    try:
        if isinstance(value, int | float):
            return datetime.fromtimestamp(float(value), UTC)
        text = str(value)
        if re.fullmatch(r"\d{9,11}(\.\d+)?", text):
            return datetime.fromtimestamp(float(text), UTC)
        if re.match(r"\d\d/\w{3}/", text):
            return datetime.strptime(text, _TIME).astimezone(UTC)
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _number(value: Any) -> int:
    try:
        return int(float(value))
    except (TypeError, ValueError, OverflowError):
        return 0


def _text(value: Any) -> str:
    return str(value[0] if isinstance(value, list) and value else value or "")
