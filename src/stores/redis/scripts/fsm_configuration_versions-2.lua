#!lua flags=no-writes
--[[
  Reads a page of the configurations of a name, oldest first. A page ends early at 4 MiB, with at least
  one configuration.

  KEYS[1]  the configurations of the name
  KEYS[2]  its versions in order of creation
  ARGV[1]  the position to start at, from 0
  ARGV[2]  how many at most

  Returns { number of versions, stored text, ... }; the number is 0 if there is no such name.
]]
local MAX_BYTES = 4194304

local page, bytes = { redis.call('LLEN', KEYS[2]) }, 0
local versions = redis.call('LRANGE', KEYS[2], ARGV[1], ARGV[1] + ARGV[2] - 1)
for i = 1, #versions do
  page[i + 1] = redis.call('HGET', KEYS[1], versions[i])
  bytes = bytes + #page[i + 1]
  if bytes >= MAX_BYTES then break end
end
return page
