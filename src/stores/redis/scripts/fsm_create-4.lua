#!lua
--[[
  Creates a machine at version 0 with its index entry and its CREATED change, or does nothing.

  Guarantee: one atomic step; of concurrent creators one wins, and no machine is ever overwritten.

  KEYS[1]  the machine
  KEYS[2]  the index of its shard
  KEYS[3]  the change feed of its shard
  KEYS[4]  the flag of watchers that wait

  ARGV[1]  id
  ARGV[2]  configuration version
  ARGV[3]  uid
  ARGV[4]  state
  ARGV[5]  `!initialState!requestId!requestHash`, or '' if there is no request id
  ARGV[6]  the channel that wakes watchers

  Returns { 'created', record } or { 'exists', record }.
]]
local FEED_MAX_ENTRIES = '100000'

local there = redis.call('GET', KEYS[1])
if there then return { 'exists', there } end

local time = redis.call('TIME')
local now = time[1] .. string.sub('00000' .. time[2], -6, -4)
local id, configuration, uid, state = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local record = '0!' .. state .. '!' .. now .. '!' .. configuration .. '!' .. uid .. '!' .. now .. ARGV[5]
local change = 'C!' .. id .. '!' .. uid .. '!0!' .. configuration .. '!!' .. state .. '!' .. now .. '!!'

redis.call('SET', KEYS[1], record)
redis.call('ZADD', KEYS[2], '0', state .. '!' .. configuration .. '!' .. id)
redis.call('XADD', KEYS[3], 'MAXLEN', '~', FEED_MAX_ENTRIES, '*', 'c', change)
if redis.call('DEL', KEYS[4]) == 1 then redis.call('PUBLISH', ARGV[6], KEYS[4]) end
return { 'created', record }
