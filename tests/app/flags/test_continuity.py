"""An emptied or rolled-back store neither turns flags off nor brings killed ones back."""

from __future__ import annotations

from mina_ops.app.flags.continuity import ORIGIN, Known, flags_of, origins, reconcile
from mina_ops.app.state.base import Register

KNOWN = Known("e1", 10, {"a": b"on", "b": b"off"})


def test_a_process_that_knows_nothing_believes_the_store() -> None:
    known = reconcile(Known(), Register("e1", 3, {"a": b"on"}))
    assert known == Known("e1", 3, {"a": b"on"})
    assert reconcile(Known(), Register("", 0)).loss is None


def test_a_later_version_is_followed_also_where_flags_were_removed() -> None:
    assert reconcile(KNOWN, Register("e1", 12, {})) == Known("e1", 12, {})


def test_an_emptied_store_leaves_all_flags_in_force() -> None:
    known = reconcile(KNOWN, Register("", 0))
    assert known.entries == KNOWN.entries
    assert known.loss == "the store was emptied"


def test_what_is_written_after_a_loss_is_followed_and_the_rest_stays() -> None:
    emptied = reconcile(KNOWN, Register("", 0))
    written = reconcile(emptied, Register("e2", 1, {"b": b"on", "c": b"on"}))
    assert written.entries == {"a": b"on", "b": b"on", "c": b"on"}
    removed = reconcile(written, Register("e2", 2, {"b": b"on"}))
    assert removed.entries == {"a": b"on", "b": b"on"}
    assert removed.loss is not None


def test_a_store_that_went_back_does_not_bring_a_killed_flag_back() -> None:
    killed = Known("e1", 10, {"a": b"off"})
    behind = reconcile(killed, Register("e1", 9, {"a": b"on"}))
    assert behind.entries == {"a": b"off"}
    assert behind.loss == "the store went back by 1 changes"


def test_a_write_to_a_store_that_went_back_is_followed_even_at_a_known_version() -> None:
    behind = reconcile(Known("e1", 10, {"a": b"off"}), Register("e1", 9, {"a": b"on"}))
    written = reconcile(behind, Register("e1", 10, {"a": b"on", "b": b"on"}))
    assert written.entries == {"a": b"off", "b": b"on"}
    assert written.loss is not None


def test_to_follow_twice_is_to_follow_once() -> None:
    for register in (Register("", 0), Register("e1", 9, {"a": b"on"}), Register("e2", 4, {})):
        once = reconcile(KNOWN, register)
        assert reconcile(once, register) == once


def test_a_store_that_names_the_lost_epoch_as_its_origin_is_followed() -> None:
    emptied = reconcile(KNOWN, Register("", 0))
    restored = Register("e2", 1, {"a": b"on", ORIGIN: origins(emptied, Register("", 0))})
    assert reconcile(emptied, restored) == Known("e2", 1, {"a": b"on"})
    assert reconcile(KNOWN, restored).loss is None, "also by one that never saw it empty"


def test_origins_reach_back_over_several_losses() -> None:
    register = Register("e9", 1, {ORIGIN: b"e7,e8"})
    assert origins(Known("e1", 1), register) == b"e7,e8,e9,e1"
    many = Register("e", 1, {ORIGIN: ",".join(f"o{n}" for n in range(50)).encode()})
    assert len(origins(Known("e1", 1), many).split(b",")) == 10


def test_the_old_store_coming_back_whole_ends_the_loss() -> None:
    emptied = reconcile(KNOWN, Register("", 0))
    assert reconcile(emptied, Register("e1", 10, KNOWN.entries)).loss is None


def test_the_old_store_coming_back_does_not_undo_what_was_written_meanwhile() -> None:
    emptied = reconcile(KNOWN, Register("", 0))
    written = reconcile(emptied, Register("e2", 1, {"a": b"killed"}))
    back = reconcile(written, Register("e1", 10, KNOWN.entries))
    assert back.loss is not None


def test_entries_that_begin_with_a_colon_are_no_flags() -> None:
    assert flags_of({"a": b"", ORIGIN: b"x"}) == {"a": b""}
