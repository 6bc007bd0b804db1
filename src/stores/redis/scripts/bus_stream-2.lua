#!lua flags=no-writes
--[[
  Reads a stream from the registry, by its number.

  KEYS[1]  streams   KEYS[2]  numbers
  ARGV[1]  number

  Returns { name, the stream's record }, or nothing.
]]
local name = redis.call('HGET', KEYS[2], ARGV[1])
local record = name and redis.call('HGET', KEYS[1], name)
return record and { name, record } or {}
