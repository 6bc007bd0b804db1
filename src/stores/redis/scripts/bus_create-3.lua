#!lua
--[[
  Enters a stream in the registry, if its name is free, under the next number.

  Guarantee: one atomic step; of concurrent creators one wins. Numbers are never used again.

  KEYS[1]  names   KEYS[2]  streams   KEYS[3]  numbers
  ARGV[1]  name
  ARGV[2]  uid
  ARGV[3]  settings, 5 tokens
  ARGV[4]  `requestId!requestHash`

  Returns { 'created' | 'exists' | 'deleting', the stream's record (bus-records.ts) }.
]]
local record = redis.call('HGET', KEYS[2], ARGV[1])
if record then return { string.match(record, '!D$') and 'deleting' or 'exists', record } end
local time = redis.call('TIME')
local now = time[1] .. string.sub('00000' .. time[2], -6, -4)
local number = string.format('%.0f', redis.call('HINCRBY', KEYS[3], '!', 1))
record = table.concat({ number, ARGV[2], '1', now, ARGV[3], ARGV[4], 'L' }, '!')
redis.call('HSET', KEYS[2], ARGV[1], record)
redis.call('HSET', KEYS[3], number, ARGV[1])
redis.call('ZADD', KEYS[1], 0, ARGV[1])
return { 'created', record }
