#!lua flags=allow-oom
--[[
  Puts a tombstone in the place of a stream's facts: from here on every verb on it answers that it is gone.
  Wakes all who listen. The tombstone stays for good; the rest is the caller's to unlink.

  KEYS[1]  facts   KEYS[2]  groups   KEYS[3]  the flag of those who wait
  ARGV[1]  the channel that wakes

  Returns the names of the groups whose keys are to go.
]]
redis.call('DEL', KEYS[1], KEYS[3])
redis.call('HSET', KEYS[1], 'gone', '1')
redis.call('PUBLISH', ARGV[1], KEYS[3])
return redis.call('ZRANGE', KEYS[2], 0, -1)
