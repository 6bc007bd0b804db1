#!lua flags=allow-oom
--[[
  Deletes a machine with its index entry and its history, and announces it; outcomes stay.

  Guarantee: one atomic step, O(1) for the caller: a long history is freed in the background. Allowed
  when Redis is out of memory, since it gives back more than it takes.

  KEYS[1]  the machine
  KEYS[2]  its history
  KEYS[3]  the index of its shard
  KEYS[4]  the change feed of its shard
  KEYS[5]  the flag of watchers that wait

  ARGV[1]  id
  ARGV[2]  the uid that the machine must have, or ''
  ARGV[3]  the channel that wakes watchers

  Returns { 'deleted' }, { 'absent' } or { 'uid_mismatch', uid }.
]]
local FEED_MAX_ENTRIES = '100000'

local record = redis.call('GET', KEYS[1])
if not record then return { 'absent' } end
local version, state, configuration, uid = string.match(record, '^(%d+)!([^!]*)!%d+!([^!]*)!([^!]*)')
if ARGV[2] ~= '' and ARGV[2] ~= uid then return { 'uid_mismatch', uid } end

local time = redis.call('TIME')
local now = time[1] .. string.sub('00000' .. time[2], -6, -4)
local id = ARGV[1]
local change = 'D!' .. id .. '!' .. uid .. '!' .. version .. '!' .. configuration .. '!' .. state .. '!!' .. now .. '!!'

redis.call('UNLINK', KEYS[1], KEYS[2])
redis.call('ZREM', KEYS[3], state .. '!' .. configuration .. '!' .. id)
redis.call('XADD', KEYS[4], 'MAXLEN', '~', FEED_MAX_ENTRIES, '*', 'c', change)
if redis.call('DEL', KEYS[5]) == 1 then redis.call('PUBLISH', ARGV[3], KEYS[5]) end
return { 'deleted' }
