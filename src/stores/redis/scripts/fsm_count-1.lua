#!lua flags=no-writes
--[[
  Counts the entries of a shard's index in several ranges, all of one moment.

  KEYS[1]  the index
  ARGV     for each range its lexicographic minimum and maximum

  Returns one number for each range.
]]
local counts = {}
for i = 1, #ARGV, 2 do
  counts[#counts + 1] = redis.call('ZLEXCOUNT', KEYS[1], ARGV[i], ARGV[i + 1])
end
return counts
