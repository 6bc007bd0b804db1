#!lua
--[[
  Creates a group of a stream, if there is none of the name.

  Guarantee: one atomic step; of concurrent creators one wins.

  KEYS[1]  facts   KEYS[2]  log   KEYS[3]  the flag of those who wait   KEYS[4]  groups   KEYS[5]  the group
  ARGV[1]  the channel that wakes
  ARGV[2]  the group
  ARGV[3]  settings   ARGV[4]  filter
  ARGV[5]  `requestId!requestHash`
  ARGV[6]  where it starts: 'beginning', 'end', 'seq' or 'time'   ARGV[7]  the sequence or time

  Returns { 'UNKNOWN' | 'GONE' | 'too_many_groups' }, { 'out_of_range', first, last }, or { 'created' |
  'exists', settings, filter, revision, generation, created ms, request }.
]]
--- include limits
--- include bus_stream
--- include bus_time
local function answer(kind)
  return { kind, unpack(call('HMGET', KEYS[5], 'settings', 'filter', 'revision', 'generation', 'created', 'request')) }
end
if call('EXISTS', KEYS[5]) == 1 then return answer('exists') end
if call('ZCARD', KEYS[4]) >= MAX_GROUPS then return { 'too_many_groups' } end
local cursor = seqOf(ARGV[6], ARGV[7])
if not cursor then return { 'out_of_range', num(first), num(last) } end

call('ZADD', KEYS[4], 0, ARGV[2])
call('HSET', KEYS[5], 'settings', ARGV[3], 'filter', ARGV[4], 'revision', '1', 'generation', '1',
  'created', num(now), 'request', ARGV[5], 'cursor', num(cursor), 'place', '0', 'trimmed', '0',
  'blocked', '', 'dropped', '0', 'deaths', '0')
wake()
return answer('created')
