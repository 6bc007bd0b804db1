#!lua flags=allow-oom
--[[
  Moves the deadlines of leases: ACCEPT and EXTEND of src/bus/delivery.ts.

  KEYS     as in include/bus_group.lua
  ARGV[1]  the channel that wakes
  ARGV[2]  the group
  ARGV[3]  ''
  ARGV[4]  ack deadline, ms; '' = the group's
  ARGV[5]  '' or the consumer whose lease ARGV[6] moves with all its rows
  ARGV[6..] else for each row `seq!lease`

  Returns { 'UNKNOWN' | 'GONE' | 'NO_GROUP' }, or { 'extended', the new deadline, for each row O ok, S stale }.
]]
--- include limits
--- include bus_stream
--- include bus_group
local dueMs = now + (ARGV[4] ~= '' and tonumber(ARGV[4]) or ackDeadlineMs)
local reply, ids, tokens = { 'extended', num(dueMs) }, {}, {}
if ARGV[5] ~= '' then
  local lease = leaseOf(ARGV[6])
  if lease and lease.consumer == ARGV[5] then ids = idsOf(lease) end
  for i = 1, #ids do tokens[i] = ARGV[6] end
else
  for i = 6, #ARGV do
    local seq, token = match(ARGV[i], '^(%d+)!(%d+)$')
    ids[i - 5], tokens[i - 5] = idOf(tonumber(seq)), token
  end
end
loadRows(ids)

local comesSooner = false
for i, id in ipairs(ids) do
  local row = rows[id]
  if row and row.state == 'L' and row.more == tokens[i] and row.due > now then
    comesSooner = comesSooner or (ARGV[5] == '' and dueMs < row.due)
    put(id, 'L', row.attempts, row.bytes, row.key, dueMs, row.more)
    reply[i + 2] = 'O'
  else
    reply[i + 2] = 'S'
  end
end
-- Those who wait know the old deadline. After an accept they are late by its grace at most: not woken.
isDeliverable = comesSooner
flush()
return reply
