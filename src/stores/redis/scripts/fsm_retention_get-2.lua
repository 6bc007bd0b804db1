#!lua flags=no-writes
--[[
  Reads the retention of a name.

  KEYS[1]  all names
  KEYS[2]  the retention of every name
  ARGV[1]  name

  Returns { `revision!count`, the count of all changes }, or {} if there is no such name.
]]
if not redis.call('ZSCORE', KEYS[1], ARGV[1]) then return {} end
local values = redis.call('HMGET', KEYS[2], ARGV[1], '!')
return { values[1] or '0!0', values[2] or '0' }
