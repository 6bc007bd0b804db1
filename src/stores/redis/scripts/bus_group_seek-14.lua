#!lua flags=allow-oom
--[[
  Moves a group's cursor and drops what it has in flight; dead letters stay. O(1) for the caller: Redis
  frees the old keys in the background. Allowed when Redis is out of memory, since it makes room.

  KEYS[1..14] as in include/bus_group.lua
  ARGV[1]  the channel that wakes
  ARGV[2]  the group
  ARGV[3]  where to: 'beginning', 'end', 'seq' or 'time'   ARGV[4]  the sequence or time

  Returns { 'UNKNOWN' | 'GONE' | 'NO_GROUP' }, { 'out_of_range', first, last }, or { 'sought', settings,
  filter, revision, generation, created ms, request, cursor }.
]]
--- include limits
--- include bus_stream
--- include bus_time
if call('EXISTS', KEYS[5]) == 0 then return { 'NO_GROUP' } end
local cursor = seqOf(ARGV[3], ARGV[4])
if not cursor then return { 'out_of_range', num(first), num(last) } end

call('UNLINK', unpack(KEYS, 6, 14))
call('HSET', KEYS[5], 'cursor', num(cursor), 'blocked', '')
call('HINCRBY', KEYS[5], 'generation', 1)
wake()
return { 'sought', unpack(call('HMGET', KEYS[5], 'settings', 'filter', 'revision', 'generation', 'created',
  'request', 'cursor')) }
