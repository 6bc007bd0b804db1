-- Leases, by number: how many rows each has left, whose it is, and which rows it began with. Consumers: what
-- each has leased, and its last claim.
local leases, consumers = {}, {}
local function leaseOf(number)
  local known = leases[number]
  if known ~= nil then return known end
  local text, lease = call('HGET', KEYS[13], number), false
  if text then
    local count, consumer, runs = match(text, '^(%d+)!([^!]*)!(.*)$')
    lease = { left = tonumber(count), consumer = consumer, runs = runs }
  end
  leases[number] = lease
  return lease
end
local function consumerOf(name)
  local known = consumers[name]
  if known then return known end
  local text, consumer = call('HGET', KEYS[12], name), { count = 0, bytes = 0, claimId = '', lease = '' }
  if text then
    local count, bytes, claimId, lease = match(text, '^(%d+)!(%d+)!([^!]*)!(%d*)$')
    consumer = { count = tonumber(count), bytes = tonumber(bytes), claimId = claimId, lease = lease, isKept = true }
  end
  consumers[name] = consumer
  return consumer
end

-- The ids of a lease's rows as they were at its claim, from runs `first:count,first:count`; none once the last
-- of them has left it.
local function idsOf(lease)
  local ids = {}
  for start, count in string.gmatch(lease and lease.runs or '', '(%d+):(%d+)') do
    for seq = tonumber(start), start + count - 1 do ids[#ids + 1] = idOf(seq) end
  end
  return ids
end

-- The credit of rows that are leased no more.
local function endLeases(number, count, bytes)
  isCreditFreed = true
  local lease = leaseOf(number)
  if not lease then return end
  lease.left, lease.isChanged = lease.left - count, true
  local consumer = consumerOf(lease.consumer)
  consumer.count, consumer.bytes, consumer.isChanged = consumer.count - count, consumer.bytes - bytes, true
end
local function endLease(row) endLeases(row.more, 1, row.bytes) end

-- A row goes for good.
local function dropRow(id)
  local row = rowOf(id)
  rows[id], changed[id], copied[id] = false, true, nil
  if row.state == 'L' then endLease(row) end
  if row.state == 'W' then leaveLine(id, row) else freeKey(id, row.key) end
end
