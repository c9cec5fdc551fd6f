"""The reasons for which a chunk is not handled, each with the answer that its client gets."""

from __future__ import annotations

from typing import Any

from mina_ops.errors import Conflict


class StreamRefused(Conflict):
    """A chunk was not handled, and is not acknowledged as if it were.

    `answer` goes to the client as the acknowledgement's content; None: there is no
    acknowledgement, so that the client sends the chunk again.
    """

    code = "stream_refused"
    answer: dict[str, Any] | None = None


class OutOfOrder(StreamRefused):
    """A chunk came without the one before it; its sender shall send both again, in order.

    Clients of ours, which say their run, are told so at once: `{"code": "out_of_order",
    "retry_after_ms"}`. Others send again what is not acknowledged.
    """

    code = "out_of_order"
    retry_after_ms = 200

    def tell(self) -> None:
        """Let the client get the answer at once, since it understands it."""
        self.answer = {"code": self.code, "error": str(self), "retry_after_ms": self.retry_after_ms}


class StreamKept(OutOfOrder):
    """The process that the client left still handles a chunk; the client shall try again soon."""

    retry_after_ms = 30


class SessionLeaves(StreamRefused):
    """The session ends in this process; its client sends the chunk again from its next session."""

    code = "session_leaves"


class StreamTaken(StreamRefused):
    """Another run of a client has sent this stream: another tab, or the page before a reload.

    `answer` is `{"error", "code": "stream_taken", "stream", "mark"}`: numbers up to `mark` were
    handled, so a client that goes on with the stream begins at `mark + 1`.
    """

    code = "stream_taken"

    def __init__(self, stream: str, mark: int) -> None:
        super().__init__(
            f"Stream {stream}: others have sent it up to {mark}. Go on at {mark + 1}, or use "
            f"another id."
        )
        self.answer = {"error": str(self), "code": self.code, "stream": stream, "mark": mark}
