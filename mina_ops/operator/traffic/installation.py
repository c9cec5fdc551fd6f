"""A load balancer's new configuration: written, tested, reloaded, proven, or all taken back."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mina_ops import files
from mina_ops.errors import OperatorError, TrafficError
from mina_ops.operator.system.programs import Result
from mina_ops.operator.traffic.templates import Rendering

PROOF_SECONDS = 10.0
_STEADY_SECONDS = 0.5
_POLL_SECONDS = 0.02
_READABLE = 0o644


@dataclass(frozen=True)
class Installation:
    """How one configuration gets into one load balancer.

    Attributes:
        name: the program, for messages.
        config: the file that is written.
        test, reload: run the program's own test and reload.
        loaded: fingerprint of the configuration that serves; None if nothing of ours does.
        words: what the program said since about a configuration that it gave up; "" for nothing.
        testable: False while the test cannot pass yet; then the file is only written.
    """

    name: str
    config: Path
    rendering: Rendering
    test: Callable[[], Result]
    reload: Callable[[], Result]
    loaded: Callable[[], str | None]
    words: Callable[[], str] = str
    testable: bool = True

    def run(self) -> list[str]:
        """What was done, as sentences; [] if this configuration serves already.

        Raises:
            TrafficError: it was refused or does not serve; the earlier one is back.
        """
        before = _text(self.config)
        serving = self.loaded()
        if before == self.rendering.text and serving == self.rendering.fingerprint:
            return []
        done = [f"wrote {self.config}"]
        try:
            files.write(self.config, self.rendering.text, _READABLE)
            if not self.testable:
                return [*done, f"{self.name} is not set up to read it yet"]
            self._pass_test()
        except OperatorError:
            # Without a reload: nobody has read ours, and whether what lay there before would
            # load is more than we know.
            self._put_back(before)
            raise
        try:
            return [*done, self._load(was_running=serving is not None)]
        except OperatorError:
            self._put_back(before)
            if serving is not None:
                self.reload()
            raise

    def _pass_test(self) -> None:
        test = self.test()
        if not test.ok:
            raise TrafficError(
                f"{self.name} refuses the configuration, the earlier one is back: {test.reason()}"
            )

    def _load(self, *, was_running: bool) -> str:
        reload = self.reload()
        if not reload.ok and not was_running:
            return f"{self.name} is not running: start it"
        if not reload.ok:
            raise TrafficError(
                f"{self.name} could not be reloaded, the earlier configuration is back: "
                f"{reload.reason()}"
            )
        # A reload returns 0 while the old configuration keeps serving; only asking tells.
        if not self._proven():
            said = self.words() or f"Does it read {self.config}? `mina-ops traffic check` says why."
            raise TrafficError(
                f"{self.name} took the reload but does not serve the new configuration, the "
                f"earlier one is back. {said}"
            )
        return f"{self.name} serves configuration {self.rendering.fingerprint}"

    def _proven(self) -> bool:
        """Whether only the new configuration answers, and has for a while.

        Workers of the old one accept connections until they have heard of the reload, so that
        one answer of a new worker is no proof that the next will not be an old one's.
        """
        deadline = time.monotonic() + PROOF_SECONDS
        steady_since = None
        while True:
            now = time.monotonic()
            if self.loaded() != self.rendering.fingerprint:
                steady_since = None
            elif steady_since is None:
                steady_since = now
            elif now - steady_since >= _STEADY_SECONDS:
                return True
            if now > deadline or self.words():
                return False
            time.sleep(_POLL_SECONDS)

    def _put_back(self, before: str | None) -> None:
        if before is None:
            self.config.unlink(missing_ok=True)
        else:
            files.write(self.config, before, _READABLE)


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise TrafficError(f"{path} cannot be read: {exc.strerror}. Nothing was changed.") from exc
