#!lua
--[[
  Tells the slot of a stream's content what the registry says of it: makes the facts on first contact, and
  renews settings that are older. A deleted stream's tombstone stays.

  KEYS[1]  facts
  ARGV[1]  uid   ARGV[2]  revision
  ARGV[3..7] max age ms, max events, max bytes, overflow, dedupe window ms

  Returns { 'GONE' | 'known' }.
]]
local known = redis.call('HMGET', KEYS[1], 'revision', 'gone')
if known[2] then return { 'GONE' } end
if not known[1] then
  redis.call('HSET', KEYS[1], 'uid', ARGV[1], 'first', '1', 'last', '0', 'lease', '0', 'bytes', '0', 'lastMs', '0',
    'firstMs', '0')
end
if not known[1] or tonumber(known[1]) < tonumber(ARGV[2]) then
  redis.call('HSET', KEYS[1], 'revision', ARGV[2], 'maxAge', ARGV[3], 'maxEvents', ARGV[4], 'maxBytes', ARGV[5],
    'overflow', ARGV[6], 'dedupe', ARGV[7])
end
return { 'known' }
