#!lua flags=no-writes
--[[
  Reads entries of a shard's index from several ranges, one range after another.

  KEYS[1]  the index
  ARGV[1]  how many entries at most
  ARGV[2..] for each range its lexicographic minimum and maximum

  Returns the entries.
]]
local left, entries = tonumber(ARGV[1]), {}
for i = 2, #ARGV, 2 do
  if left == 0 then break end
  local found = redis.call('ZRANGEBYLEX', KEYS[1], ARGV[i], ARGV[i + 1], 'LIMIT', 0, left)
  for j = 1, #found do entries[#entries + 1] = found[j] end
  left = left - #found
end
return entries
