"""Lua scripts that make a store's steps of several commands atomic, and their arguments."""

from __future__ import annotations

from collections.abc import Mapping

from mina_ops.app.state.base import Change

# The fields of a register that are no entries.
EPOCH, VERSION = ":epoch", ":version"

REPLACE = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[2] == '1' then return redis.call('DEL', KEYS[1]) end
redis.call('SET', KEYS[1], ARGV[3])
if ARGV[4] ~= '0' then redis.call('PEXPIRE', KEYS[1], ARGV[4]) end
return 1
"""

ADVANCE = """
local mark = tonumber(redis.call('GET', KEYS[1]) or ARGV[1])
if tonumber(ARGV[1]) > mark then mark = tonumber(ARGV[1]) end
redis.call('SET', KEYS[1], string.format('%.0f', mark), 'PX', ARGV[2])
return mark
"""

ADD_ONCE = """
local ttl, at = ARGV[1], 2
if not redis.call('SET', KEYS[1], '', 'NX', 'PX', ttl) then return 0 end
for number = 2, #KEYS do
  local fields = tonumber(ARGV[at])
  for next = at + 1, at + 2 * fields, 2 do
    redis.call('ZINCRBY', KEYS[number], ARGV[next + 1], ARGV[next])
  end
  redis.call('PEXPIRE', KEYS[number], ttl)
  at = at + 1 + 2 * fields
end
return 1
"""

APPEND_ONCE = """
if not redis.call('SET', KEYS[1], '', 'NX', 'PX', ARGV[1]) then return 0 end
redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[2], '*', unpack(ARGV, 3))
return 1
"""

CHANGE = """
local at = 1
local function take() at = at + 1; return ARGV[at - 1] end
local epoch, fresh, keep, hint = take(), take(), take(), take()
for _ = 1, tonumber(take()) do
  local name, exists, value = take(), take(), take()
  local held = redis.call('HGET', KEYS[1], name)
  if (exists == '0' and held) or (exists == '1' and held ~= value) then return false end
end
local removals, writings = {}, {}
for number = 1, tonumber(take()) do removals[number] = take() end
for number = 1, tonumber(take()) do writings[number] = {take(), take()} end
-- Redis undoes nothing when a later command fails, so the one that may fail comes first: the Redis
-- user may be denied XADD.
local version = tonumber(redis.call('HGET', KEYS[1], ':version') or 0) + 1
if KEYS[2] then
  local record = {'version', tostring(version)}
  for _ = 1, tonumber(take()) do
    record[#record + 1] = take()
    record[#record + 1] = take()
  end
  redis.call('XADD', KEYS[2], 'MAXLEN', '~', keep, '*', unpack(record))
end
for _, name in ipairs(removals) do redis.call('HDEL', KEYS[1], name) end
for _, pair in ipairs(writings) do redis.call('HSET', KEYS[1], pair[1], pair[2]) end
if fresh == '1' then redis.call('HDEL', KEYS[1], ':epoch') end
redis.call('HSETNX', KEYS[1], ':epoch', epoch)
redis.call('HINCRBY', KEYS[1], ':version', 1)
-- A hint may be forbidden; the change is made all the same.
if hint ~= '' then redis.pcall('PUBLISH', hint, tostring(version)) end
return {redis.call('HGET', KEYS[1], ':epoch'), version}
"""


def add_arguments(
    tallies: Mapping[str, Mapping[str, float]], ttl_milliseconds: int
) -> list[str | float]:
    """The arguments of ADD_ONCE for these tallies, in the order of their keys."""
    arguments: list[str | float] = [ttl_milliseconds]
    for amounts in tallies.values():
        arguments.append(len(amounts))
        for name, amount in amounts.items():
            arguments += [name, amount]
    return arguments


def change_arguments(change: Change, *, epoch: str, hint: str) -> list[bytes | str | int]:
    """The arguments of CHANGE.

    Args:
        epoch: used only if the register has none, or shall get a new one.
        hint: the channel as Redis knows it; "": none.
    """
    arguments: list[bytes | str | int] = [epoch, int(change.new_epoch)]
    arguments += [change.keep, hint]
    arguments.append(len(change.expect))
    for name, value in change.expect.items():
        arguments += [name, int(value is not None), value or b""]
    arguments += [len(change.remove), *change.remove, len(change.put)]
    for name, written in change.put.items():
        arguments += [name, written]
    arguments.append(len(change.record))
    for name, text in change.record.items():
        arguments += [name, text]
    return arguments
