#!lua flags=allow-oom
--[[
  Frees the name of a stream whose content is gone.

  KEYS[1]  streams   KEYS[2]  numbers
  ARGV[1]  name
  ARGV[2]  number

  Returns 1 if it was still there, else 0.
]]
local record = redis.call('HGET', KEYS[1], ARGV[1])
if not record or not string.match(record, '^' .. ARGV[2] .. '!.*!D$') then return 0 end
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('HDEL', KEYS[2], ARGV[2])
return 1
