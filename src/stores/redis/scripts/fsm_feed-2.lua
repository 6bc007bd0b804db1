#!lua flags=allow-oom
--[[
  Reads a shard's change feed after a position; if that reaches the end, asks to be woken.

  Guarantee: reading and asking are one atomic step, so no change falls between them. A loss is exact:
  a position is the id of an entry and how many entries had been added with it, so what is gone after
  it shows in the numbers. Allowed when Redis is out of memory: it writes one key of a few bytes.

  KEYS[1]  the change feed
  KEYS[2]  the flag of watchers that wait
  ARGV[1]  the position's id
  ARGV[2]  the position's number of entries
  ARGV[3]  how many entries at most
  ARGV[4]  how long the flag stays, ms

  Returns { 'expired' }, or { 'changes', id, number of entries, change, ... }.
]]
local added, length = 0, 0
if redis.call('EXISTS', KEYS[1]) == 1 then
  local facts = redis.call('XINFO', 'STREAM', KEYS[1])
  for i = 1, #facts, 2 do
    if facts[i] == 'entries-added' then added = facts[i + 1] end
    if facts[i] == 'length' then length = facts[i + 1] end
  end
end
local position, limit = tonumber(ARGV[2]), tonumber(ARGV[3])
if position > added or position < added - length then return { 'expired' } end
local entries = {}
if position < added then
  entries = redis.call('XRANGE', KEYS[1], '(' .. ARGV[1], '+', 'COUNT', limit)
  -- A position that this stream never had does not add up with what comes after it.
  if #entries == 0 or (#entries < limit and position + #entries ~= added) then return { 'expired' } end
end
local reached = position + #entries
if reached >= added then redis.call('SET', KEYS[2], '1', 'PX', ARGV[4]) end

local reply = { 'changes', #entries > 0 and entries[#entries][1] or ARGV[1], reached }
for i = 1, #entries do reply[i + 3] = entries[i][2][2] end
return reply
