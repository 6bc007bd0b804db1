#!lua flags=no-writes
--[[
  Reads where a shard's change feed ends.

  KEYS[1]  the change feed
  Returns { id of the last entry ever added, number of entries ever added }.
]]
if redis.call('EXISTS', KEYS[1]) == 0 then return { '0-0', 0 } end
local facts = redis.call('XINFO', 'STREAM', KEYS[1])
local id, added
for i = 1, #facts, 2 do
  if facts[i] == 'last-generated-id' then id = facts[i + 1] end
  if facts[i] == 'entries-added' then added = facts[i + 1] end
end
return { id, added }
