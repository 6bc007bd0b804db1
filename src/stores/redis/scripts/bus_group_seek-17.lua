#!lua flags=allow-oom
--[[
  Moves a group's cursor and drops what it has in flight; dead letters stay. O(1) for the caller: Redis
  frees the old keys in the background. Allowed when Redis is out of memory, since it makes room.

  KEYS     as in include/bus_group.lua
  ARGV[1]  the channel that wakes
  ARGV[2]  the group
  ARGV[3]  where to: 'beginning', 'end', 'seq' or 'time'   ARGV[4]  the sequence or time

  Returns { 'UNKNOWN' | 'GONE' | 'NO_GROUP' }, { 'out_of_range', first, last }, or { 'sought', newly
  trimmed unprocessed, settings, filter, revision, generation, created ms, request, cursor }.
]]
--- include limits
--- include bus_stream
--- include bus_time
if call('EXISTS', KEYS[5]) == 0 then return { 'NO_GROUP' } end
local cursor = seqOf(ARGV[3], ARGV[4])
if not cursor then return { 'out_of_range', num(first), num(last) } end

-- What retention took from the old cursor on, less what was dealt with, is counted before that is forgotten.
local old, trimmed = tonumber(call('HGET', KEYS[5], 'cursor')), 0
if old < first then
  trimmed = first - old - call('ZLEXCOUNT', KEYS[7], '[X' .. idOf(old), '(X' .. idOf(first))
    - call('ZLEXCOUNT', KEYS[16], '[' .. idOf(old), '(' .. idOf(first))
end

call('UNLINK', unpack(KEYS, 6, 14))
call('HINCRBY', KEYS[5], 'trimmed', num(trimmed))
call('HSET', KEYS[5], 'cursor', num(cursor), 'blocked', '')
call('HINCRBY', KEYS[5], 'generation', 1)
wake()
return { 'sought', num(trimmed), unpack(call('HMGET', KEYS[5], 'settings', 'filter', 'revision', 'generation',
  'created', 'request', 'cursor')) }
