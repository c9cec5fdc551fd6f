"""Changes over either store: atomic, none lost, undone to the byte."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mina_ops.app.admin.audit import Audit
from mina_ops.app.clock import Clock
from mina_ops.app.flags.cache import Cache
from mina_ops.app.flags.editor import Editor
from mina_ops.app.flags.model import StoredFlag
from mina_ops.app.flags.repository import Repository
from mina_ops.app.identity import Identity
from mina_ops.app.state import MemoryStore, Store, keys
from mina_ops.app.state.redis import RedisStore
from mina_ops.errors import Conflict, InvalidRequest, NotFound, PreconditionFailed
from tests.app.flags.conftest import ANA, PLACE


@pytest.fixture
def cache(open_cache: Callable[[], Cache]) -> Cache:
    return open_cache()


@pytest.fixture
def editor(store: Store, cache: Cache) -> Editor:
    return make_editor(store, cache)


def make_editor(store: Store, cache: Cache) -> Editor:
    audit = Audit(store, Identity("blue", "v2.5.0", "0", ("blue", "green")), Clock())
    return Editor(Repository(store, cache, audit), cache)


def entries(store: Store) -> dict[str, bytes]:
    return dict(store.read_register(keys.FLAGS).entries)


def test_the_writer_sees_its_own_change_at_once(editor: Editor, cache: Cache) -> None:
    editor.set("audio", {"enabled": True}, ANA)
    assert cache.snapshot.table["audio"] is True


def test_a_change_is_one_version_and_one_record(store: Store, editor: Editor) -> None:
    outcome = editor.set("audio", {"enabled": True, "rollout_percent": 25}, ANA)
    assert (outcome.created, outcome.changed.version) == (True, 1)
    record = editor.history("audio", count=10)[0]
    assert (record.version, record.author, record.action) == (1, ANA, "flag.set")
    before, after = record.entries["audio"]
    assert before is None
    assert after is not None
    assert after.raw == entries(store)["audio"]


def test_a_change_that_changes_nothing_leaves_no_trace(editor: Editor) -> None:
    editor.set("audio", {"enabled": True}, ANA)
    again = editor.set("audio", {"enabled": True}, ANA)
    assert again.changed.entries == {}
    assert again.changed.version == 1
    assert len(editor.history("audio", count=10)) == 1


def test_nothing_is_stored_of_a_change_that_is_refused(store: Store, editor: Editor) -> None:
    for key, values in (("audio", {"enabled": 1}), ("Bad key", {}), ("audio", {"x": 1})):
        with pytest.raises(InvalidRequest):
            editor.set(key, values, ANA)
    assert entries(store) == {}
    assert editor.history(None, count=10) == []


def test_only_the_revision_that_was_read_is_changed(store: Store, editor: Editor) -> None:
    editor.set("audio", {"enabled": True}, ANA)
    read = StoredFlag(entries(store)["audio"]).revision
    editor.set("audio", {"owner": "ben"}, ANA, expect={read})
    with pytest.raises(PreconditionFailed):
        editor.set("audio", {"owner": "ana"}, ANA, expect={read})
    with pytest.raises(PreconditionFailed):
        editor.delete("audio", ANA, expect={read})
    with pytest.raises(PreconditionFailed):
        editor.set("other", {}, ANA, expect={"*"})
    editor.delete("audio", ANA, expect={"*"})
    assert entries(store) == {}


def test_concurrent_writers_of_one_flag_lose_no_update(
    store: Store, open_cache: Callable[[], Cache]
) -> None:
    writers = [make_editor(store, open_cache()) for _ in range(6)]

    # Each adds to what it finds, as two admins with two pages do.
    def add(number: int) -> None:
        editor = writers[number]
        for step in range(8):
            name = f"w{number}-{step}"

            def edit(held: Any, name: str = name) -> dict[str, StoredFlag]:
                raw = json.loads(held.get("audio", b'{"key":"audio"}'))
                raw.setdefault("metadata", {})[name] = True
                return {"audio": StoredFlag(json.dumps(raw).encode())}

            editor._repository.change(edit, ANA, "flag.set")

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(add, range(6)))
    found = json.loads(entries(store)["audio"])["metadata"]
    assert len(found) == 48
    assert store.read_version(keys.FLAGS)[1] == 48


def test_two_admins_who_set_different_fields_both_succeed(
    store: Store, open_cache: Callable[[], Cache]
) -> None:
    editors = [make_editor(store, open_cache()) for _ in range(2)]
    changes = [{"owner": "ana"}, {"rollout_percent": 10}] * 10
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: editors[n % 2].set("audio", changes[n], ANA), range(20)))
    assert json.loads(entries(store)["audio"]) == {
        "key": "audio",
        "owner": "ana",
        "rollout_percent": 10.0,
    }


some_fields = st.fixed_dictionaries(
    {},
    optional={
        "enabled": st.booleans(),
        "rollout_percent": st.sampled_from([0, 10, 99.999]),
        "salt": st.text("abc", min_size=1, max_size=3),
        "allow": st.lists(st.text("789", min_size=1), max_size=2),
        "release": st.sampled_from(["v1", "v2"]),
    },
)
acts = st.tuples(
    st.sampled_from(["set", "set", "delete", "disable", "undo"]), st.sampled_from("ab"), some_fields
)


@settings(max_examples=80)
@given(st.lists(acts, max_size=5), acts)
def test_undo_restores_the_state_before_to_the_byte(before: list[Any], last: Any) -> None:
    store = MemoryStore()
    _undo_both_ways(store, lambda: entries(store), before, last)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=st.lists(acts, max_size=5), last=acts)
def test_undo_restores_what_redis_held_to_the_byte(
    redis_url: str, before: list[Any], last: Any
) -> None:
    store = RedisStore.from_url(redis_url, timeout_seconds=10.0)
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()

        def held() -> dict[bytes, bytes]:
            found = client.hgetall(keys.FLAGS)
            return {name: raw for name, raw in found.items() if name != b":version"}

        _undo_both_ways(store, held, before, last)
    store.close()


def _undo_both_ways(store: Store, held: Callable[[], Any], before: list[Any], last: Any) -> None:
    cache = Cache(store, PLACE, file=None, stale_seconds=3.5, on_change=lambda _: None)
    editor = make_editor(store, cache)
    editor.set("first", {}, ANA)
    for act in before:
        _act(editor, *act)
    state, version = held(), store.read_version(keys.FLAGS)[1]
    _act(editor, *last)
    after = held()
    if store.read_version(keys.FLAGS)[1] == version:
        return
    editor.undo(ANA, change=editor.history(None, count=1)[0].id)
    assert held() == state
    editor.undo(ANA, change=editor.history(None, count=1)[0].id)
    assert held() == after, "an undo is a change like any other"


def _act(editor: Editor, act: str, key: str, values: dict[str, Any]) -> None:
    try:
        if act == "set":
            editor.set(key, values, ANA)
        elif act == "delete":
            editor.delete(key, ANA)
        elif act == "disable":
            editor.disable_for_release(values.get("release", "v1"), ANA)
        else:
            editor.undo(ANA, key=key)
    except (NotFound, Conflict):
        return


def test_undo_again_goes_further_back_and_ends_before_the_first_change(
    store: Store, editor: Editor
) -> None:
    states = []
    for percent in (10, 25, 50):
        editor.set("audio", {"enabled": True, "rollout_percent": percent}, ANA)
        states.append(entries(store))
    editor.undo(ANA, key="audio")
    assert entries(store) == states[1]
    editor.set("audio", {"owner": "ben"}, ANA)
    editor.undo(ANA, key="audio")
    editor.undo(ANA, key="audio")
    assert entries(store) == states[0]
    editor.undo(ANA, key="audio")
    assert entries(store) == {}
    with pytest.raises(NotFound):
        editor.undo(ANA, key="audio")


def test_a_change_that_was_changed_over_since_is_not_undone(store: Store, editor: Editor) -> None:
    editor.set("audio", {"enabled": True}, ANA)
    change = editor.history("audio", count=1)[0].id
    editor.set("audio", {"owner": "ben"}, ANA)
    held = entries(store)
    with pytest.raises(Conflict):
        editor.undo(ANA, change=change)
    assert entries(store) == held


def test_a_release_is_turned_off_in_one_step_and_undone_in_one(
    store: Store, editor: Editor
) -> None:
    editor.set("audio", {"enabled": True, "release": "v2.5.0", "rollout_percent": 25}, ANA)
    editor.set("replay", {"enabled": True, "release": "v2.5.0"}, ANA)
    editor.set("quiet", {"enabled": False, "release": "v2.5.0"}, ANA)
    editor.set("older", {"enabled": True, "release": "v2.4.5"}, ANA)
    held, version = entries(store), store.read_version(keys.FLAGS)[1]
    changed = editor.disable_for_release("v2.5.0", ANA)
    assert sorted(changed.entries) == ["audio", "replay"]
    assert changed.version == version + 1
    assert [flag.key for flag in editor.flags() if flag.enabled] == ["older"]
    editor.undo(ANA, change=editor.history(None, count=1)[0].id)
    assert entries(store) == held


def test_an_import_is_stored_whole_or_not_at_all(store: Store, editor: Editor) -> None:
    editor.set("stays", {"enabled": True}, ANA)
    good = [{"key": f"flag{n}", "enabled": True} for n in range(50)]
    with pytest.raises(InvalidRequest):
        editor.load([*good, {"key": "bad", "enabled": 1}], ANA)
    with pytest.raises(InvalidRequest, match="twice"):
        editor.load([*good, good[0]], ANA)
    assert sorted(entries(store)) == ["stays"]
    changed = editor.load(good, ANA)
    assert len(changed.entries) == 50
    assert len(entries(store)) == 51
    assert editor.load(good, ANA).entries == {}


def test_ten_thousand_flags_are_written_read_and_changed(store: Store, editor: Editor) -> None:
    for start in range(0, 10_000, 2_000):
        editor.load([{"key": f"f{n}", "enabled": True} for n in range(start, start + 2_000)], ANA)
    assert len(editor.flags()) == 10_000
    outcome = editor.set("f7", {"enabled": False}, ANA)
    assert outcome.changed.version == 6
    assert [flag.key for flag in editor.flags() if not flag.enabled] == ["f7"]


def test_history_tells_of_one_flag_alone(editor: Editor) -> None:
    editor.set("audio", {"enabled": True}, ANA)
    editor.set("audio.replay", {"enabled": True}, ANA)
    editor.delete("audio", ANA)
    found = editor.history("audio", count=10)
    assert [record.action for record in found] == ["flag.delete", "flag.set"]
    assert editor.changed_at().keys() == {"audio", "audio.replay"}


def test_a_flag_that_a_later_release_wrote_is_not_overwritten_in_part(
    store: Store, editor: Editor, cache: Cache
) -> None:
    raw = b'{"enabled":true,"from_the_future":1,"key":"audio"}'
    editor._repository.change(lambda _: {"audio": StoredFlag(raw)}, ANA, "flag.set")
    assert cache.snapshot.table["audio"] is False
    with pytest.raises(Conflict, match="later release"):
        editor.set("audio", {"enabled": False}, ANA)
    assert entries(store)["audio"] == raw
    editor.delete("audio", ANA)
    editor.undo(ANA, key="audio")
    assert entries(store)["audio"] == raw


def test_other_processes_follow_and_read_only_what_changed(
    editor: Editor, open_cache: Callable[[], Cache]
) -> None:
    editor.load([{"key": f"f{n}", "enabled": True} for n in range(200)], ANA)
    other = open_cache()
    kept = other.snapshot.flags["f1"]
    editor.set("f7", {"enabled": False}, ANA)
    assert other.refresh() is True
    assert other.snapshot.table["f7"] is False
    assert other.snapshot.flags["f1"] is kept
    assert other.refresh() is False
