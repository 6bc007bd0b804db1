#!lua flags=no-writes
--[[
  Reads a machine with its newest history entries, both of one moment.

  KEYS[1]  the machine
  KEYS[2]  its history
  ARGV[1]  how many entries at most, at least 1

  Returns { record, entry, ... } with the entries oldest first, or {} if there is no machine.
]]
local record = redis.call('GET', KEYS[1])
if not record then return {} end
return { record, unpack(redis.call('LRANGE', KEYS[2], '-' .. ARGV[1], -1)) }
