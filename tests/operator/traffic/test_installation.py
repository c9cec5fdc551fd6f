"""A configuration that is not loaded leaves the file and the load balancer as they were."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mina_ops.errors import OperatorError, ToolMissing, TrafficError
from mina_ops.operator.system.programs import Result
from mina_ops.operator.traffic.installation import Installation
from mina_ops.operator.traffic.templates import Rendering

FINE, REFUSED = Result((), 0, "", ""), Result((), 1, "", "[ALERT] no such file\n")
EARLIER = "# somebody's own\n"


class Stage:
    """A load balancer that serves the earlier file, and keeps what it was told to load."""

    def __init__(self, folder: Path) -> None:
        self.config, self.loads = folder / "haproxy.cfg", []
        self.config.write_text(EARLIER)

    def install(self, test: Callable[[], Result], reloaded: Result) -> None:
        """Our configuration, with what the program's test and its reload come to."""

        def reload() -> Result:
            self.loads.append(self.config.read_text())
            return reloaded

        rendering = Rendering("# ours\n", "f1")
        Installation("HAProxy", self.config, rendering, test, reload, lambda: "f0").run()


def _missing() -> Result:
    raise ToolMissing("haproxy is not installed.")


@pytest.mark.parametrize(
    ("test", "error"), [(lambda: REFUSED, TrafficError), (_missing, ToolMissing)]
)
def test_what_does_not_pass_its_test_is_put_back_without_a_reload(
    tmp_path: Path, test: Callable[[], Result], error: type[OperatorError]
) -> None:
    stage = Stage(tmp_path)
    with pytest.raises(error):
        stage.install(test, FINE)
    assert (stage.config.read_text(), stage.loads) == (EARLIER, [])


def test_what_cannot_be_reloaded_is_put_back_and_loaded_again(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    with pytest.raises(TrafficError, match="the earlier configuration is back"):
        stage.install(lambda: FINE, REFUSED)
    assert stage.loads == ["# ours\n", EARLIER]
