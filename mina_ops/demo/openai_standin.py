"""A service that speaks OpenAI's HTTP API and knows one model: no key, no cost, no network.

It serves `GET /v1/models`, `GET /v1/models/gpt-4o` and `POST /v1/chat/completions`, streamed or
not. `POST /control {"mode": ..., "delay_seconds": ...}` makes it misbehave:

    ok     answers
    401, 403, 404, 405, 429, 500
                    refuses with that status, in OpenAI's error shape
    slow   answers after `delay_seconds`
    hang   accepts and says nothing, until the mode changes

Run it alone with `python -m mina_ops.demo.openai_standin --port 9000`, or inside a test as
``with OpenAIStandIn() as standin: ... standin.base_url``.
"""

from __future__ import annotations

import argparse
import json
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import FrameType
from typing import Any, NoReturn, Self

HOST = "127.0.0.1"
MODEL = "gpt-4o"
MODES = frozenset({"ok", "401", "403", "404", "405", "429", "500", "slow", "hang"})
LARGEST_BODY_BYTES = 1024 * 1024

_ERRORS = {
    401: ("invalid_request_error", "invalid_api_key", "Incorrect API key provided."),
    403: ("invalid_request_error", None, "Missing scopes: api.model.read."),
    405: ("invalid_request_error", None, "Not allowed to use that method here."),
    404: ("invalid_request_error", "model_not_found", "The model does not exist."),
    429: ("requests", "rate_limit_exceeded", "Rate limit reached for gpt-4o."),
    500: ("server_error", None, "The server had an error while processing your request."),
}
_MODEL_CARD = {"id": MODEL, "object": "model", "created": 1715367049, "owned_by": "system"}


class OpenAIStandIn:
    """The running service; a context manager that starts and ends it.

    Attributes:
        completions: how many were asked for.
    """

    def __init__(self, port: int = 0) -> None:
        self._mode = "ok"
        self._delay_seconds = 0.0
        self._changed = threading.Condition()
        self.completions = 0
        self._server = _Server((HOST, port), self)

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._server.server_address[1])

    @property
    def base_url(self) -> str:
        """What the client takes as `base_url`."""
        return f"http://{HOST}:{self.port}/v1"

    def behave(self, mode: str, delay_seconds: float = 0.0) -> None:
        """Change how calls are answered from now on; ends every hanging one.

        Raises:
            ValueError: no such mode.
        """
        if mode not in MODES:
            raise ValueError(f"no mode {mode!r}: use one of {', '.join(sorted(MODES))}")
        with self._changed:
            self._mode, self._delay_seconds = mode, delay_seconds
            self._changed.notify_all()

    def admit(self, path: str) -> int:
        """Count a call, wait as the mode says; its status: 200, or an error's."""
        with self._changed:
            self.completions += path == "/v1/chat/completions"
            mode, delay_seconds = self._mode, self._delay_seconds
            if mode == "hang":
                self._changed.wait_for(lambda: self._mode != "hang")
                mode = self._mode
        if mode == "slow":
            time.sleep(delay_seconds)
        return int(mode) if mode.isdigit() else 200

    def serve(self) -> None:
        """Serve until `stop`."""
        self._server.serve_forever(poll_interval=0.05)

    def stop(self) -> None:
        """End the service and every hanging call."""
        self.behave("ok")
        self._server.shutdown()
        self._server.server_close()

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve, name="openai-standin", daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], standin: OpenAIStandIn) -> None:
        self.standin = standin
        super().__init__(address, _Handler)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        """Answer `/v1/models` and `/v1/models/gpt-4o`."""
        if self._refused():
            return
        if self.path == "/v1/models":
            self._send({"object": "list", "data": [_MODEL_CARD]})
        elif self.path == f"/v1/models/{MODEL}":
            self._send(_MODEL_CARD)
        else:
            self._send_error(404)

    def do_POST(self) -> None:
        """Answer `/v1/chat/completions` and `/control`."""
        length = int(self.headers.get("Content-Length") or 0)
        try:
            body = json.loads(self.rfile.read(min(length, LARGEST_BODY_BYTES)) or b"{}")
        except ValueError:
            body = None
        if not isinstance(body, dict):
            self._send({"error": {"message": "The body has to be a JSON object."}}, 400)
        elif self.path == "/control":
            self._control(body)
        elif self._refused():
            return
        elif self.path != "/v1/chat/completions" or body.get("model") != MODEL:
            self._send_error(404)
        elif body.get("stream"):
            self._stream(_reply(body))
        else:
            self._send(_completion(_reply(body)))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - inherited
        """Say nothing."""

    def _refused(self) -> bool:
        status = self.server.standin.admit(self.path)
        if status != 200:
            self._send_error(status)
        return status != 200

    def _control(self, body: dict[str, Any]) -> None:
        try:
            mode, delay = str(body.get("mode", "ok")), float(body.get("delay_seconds", 0))
            self.server.standin.behave(mode, delay)
        except (TypeError, ValueError) as exc:
            self._send({"error": {"message": str(exc)}}, 400)
        else:
            self._send({"mode": mode, "delay_seconds": delay})

    def _send_error(self, status: int) -> None:
        kind, code, message = _ERRORS[status]
        error = {"message": message, "type": kind, "param": None, "code": code}
        self._send({"error": error}, status)

    def _send(self, body: object, status: int = 200) -> None:
        data = json.dumps(body).encode()
        with suppress(ConnectionError):
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    def _stream(self, text: str) -> None:
        with suppress(ConnectionError):
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for event in _events(text):
                data = f"data: {event}\n\n".encode()
                self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
            self.wfile.write(b"0\r\n\r\n")


def _reply(body: dict[str, Any]) -> str:
    messages = body.get("messages")
    last = messages[-1] if isinstance(messages, list) and messages else {}
    words = str(last.get("content", "") if isinstance(last, dict) else "").split()
    return f"{len(words)} words were said. It began: {' '.join(words[:12]) or 'nothing'}."


def _completion(text: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": text, "refusal": None}
    return {
        "id": "chatcmpl-standin",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": MODEL,
        "choices": [{"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}],
        "usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
    }


def _events(text: str) -> Iterator[str]:
    created = int(time.time())
    deltas: list[dict[str, str]] = [{"role": "assistant", "content": ""}]
    deltas += [{"content": f"{word} "} for word in text.split()]
    for position, delta in enumerate([*deltas, {}]):
        finish = "stop" if position == len(deltas) else None
        choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
        chunk = {
            "id": "chatcmpl-standin",
            "object": "chat.completion.chunk",
            "created": created,
            "model": MODEL,
            "choices": [choice],
        }
        yield json.dumps(chunk)
    yield "[DONE]"


def main() -> None:
    """Serve until TERM or Ctrl-C."""
    parser = argparse.ArgumentParser(description="Stand in for OpenAI's API.")
    parser.add_argument("--port", type=int, default=0)
    standin = OpenAIStandIn(parser.parse_args().port)

    def leave(number: int, frame: FrameType | None) -> NoReturn:
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, leave)
    print(standin.base_url, flush=True)
    with suppress(KeyboardInterrupt):
        standin.serve()


if __name__ == "__main__":
    main()
