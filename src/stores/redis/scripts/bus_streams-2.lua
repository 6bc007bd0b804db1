#!lua flags=no-writes
--[[
  Reads a page of streams, in order of name.

  KEYS[1]  names   KEYS[2]  streams
  ARGV[1]  the lexicographic minimum
  ARGV[2]  streams at most

  Returns { name, the stream's record, ... }.
]]
local names = redis.call('ZRANGEBYLEX', KEYS[1], ARGV[1], '+', 'LIMIT', 0, ARGV[2])
if #names == 0 then return {} end
local records, reply = redis.call('HMGET', KEYS[2], unpack(names)), {}
for i, name in ipairs(names) do
  reply[#reply + 1] = name
  reply[#reply + 1] = records[i]
end
return reply
