from __future__ import annotations

import pytest

from mina_ops.errors import ConfigurationError
from mina_ops.operator.system.patience import VARIABLE, patient


def test_without_a_word_of_it_times_are_as_they_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE)
    assert patient(3.0) == 3.0


def test_it_is_a_factor_that_may_change_at_any_time(monkeypatch: pytest.MonkeyPatch) -> None:
    for text, seconds in (("10", 30.0), ("0.5", 1.5), ("1e1", 30.0)):
        monkeypatch.setenv(VARIABLE, text)
        assert patient(3.0) == seconds


@pytest.mark.parametrize("text", ["", "much", "0", "-1", "101", "nan", "inf", "10s"])
def test_anything_else_is_refused_by_name(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, text)
    with pytest.raises(ConfigurationError, match=r"MINA_OPS_PATIENCE is .* from 0\.1 to 100"):
        patient(3.0)
