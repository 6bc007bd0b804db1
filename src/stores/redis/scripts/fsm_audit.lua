#!lua flags=no-writes
--[[
  Compares machines with their index entries, all of one moment.

  KEYS[1]  the index of the shard
  KEYS[2..] machines (variable number of KEYS)
  ARGV     for each machine its id, and the index entry it was found by or '' if it was found by its key

  Returns for each difference three values: the position of the machine among those asked, the recorded
  state or '', the listed state or ''. What is no longer there the way it was found is no difference.
]]
local differences = {}
local function differ(i, recorded, listed)
  local n = #differences
  differences[n + 1], differences[n + 2], differences[n + 3] = i, recorded or '', listed or ''
end

for i = 1, #KEYS - 1 do
  local id, entry = ARGV[2 * i - 1], ARGV[2 * i]
  local record = redis.call('GET', KEYS[i + 1])
  local state, configuration
  if record then state, configuration = string.match(record, '^%d+!([^!]*)!%d+!([^!]*)') end
  local expected = record and state .. '!' .. configuration .. '!' .. id
  if entry == '' then
    if record and not redis.call('ZSCORE', KEYS[1], expected) then differ(i, state, nil) end
  elseif expected ~= entry and redis.call('ZSCORE', KEYS[1], entry) then
    differ(i, state, string.match(entry, '^[^!]*'))
  end
end
return differences
