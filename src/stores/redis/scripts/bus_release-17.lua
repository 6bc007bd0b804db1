#!lua flags=allow-oom
--[[
  Gives back what a consumer's last claim still has leased: RELEASE of src/bus/delivery.ts.

  KEYS     as in include/bus_group.lua
  ARGV[1]  the channel that wakes
  ARGV[2]  the group
  ARGV[3]  ''
  ARGV[4]  the consumer
  ARGV[5]  its claim id

  Returns { 'UNKNOWN' | 'GONE' | 'NO_GROUP' | 'released' }.
]]
--- include limits
--- include bus_stream
--- include bus_group
local consumer = consumerOf(ARGV[4])
if not consumer.isKept or consumer.claimId ~= ARGV[5] then return { 'released' } end
local ids = idsOf(leaseOf(consumer.lease))
loadRows(ids)
for _, id in ipairs(ids) do
  local row = rows[id]
  if row and row.state == 'L' and row.more == consumer.lease then
    endLease(row)
    makeReady(id, row.attempts - 1, row.bytes, row.key)
  end
end
flush()
return { 'released' }
