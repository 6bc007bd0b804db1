#!lua flags=no-writes
--[[
  Reads the configuration of a name that was created last.

  KEYS[1]  the configurations of the name
  KEYS[2]  its versions in order of creation
  Returns the stored text, or nil.
]]
local version = redis.call('LINDEX', KEYS[2], -1)
return version and redis.call('HGET', KEYS[1], version)
