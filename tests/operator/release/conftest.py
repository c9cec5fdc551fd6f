"""What tests of releases share beside the stand itself."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.operator.release.stand import Stand


@pytest.fixture
def half_of_blue_is_down(stand: Stand) -> Iterator[None]:
    """Blue had a second instance, which has died."""
    second = stand.start_colour("blue", instance="1")
    mine = f'0 = "127.0.0.1:{stand.colours["blue"].port}"'
    text = stand.file.read_text()
    stand.file.write_text(text.replace(mine, f'{mine}\n1 = "127.0.0.1:{second.port}"'))
    installed = stand.run("traffic", "install")
    assert installed.code == 0, installed.out + installed.err
    second.kill()
    yield
    stand.file.write_text(text)
    assert stand.run("traffic", "install").code == 0
