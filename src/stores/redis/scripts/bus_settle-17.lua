#!lua flags=allow-oom
--[[
  Marks events of one group, in order: SETTLE of src/bus/delivery.ts.

  Guarantee: one atomic step; everything is decided before the first write, and nothing after it can fail.
  About 20 commands for 100 events of one lease. Allowed when Redis is out of memory, since what it takes
  away is more than what it leaves.

  KEYS     as in include/bus_group.lua
  ARGV[1]  the channel that wakes
  ARGV[2]  the group
  ARGV[3]  settings if the group is made by being used, or ''
  ARGV[4..] for each mark 3 values: the event's id, lease or '', P processed, R retry or U unprocessed and
             the delay in ms if there is one

  Returns { 'UNKNOWN' | 'GONE' | 'NO_GROUP' }, or { 'settled', newly trimmed unprocessed, for each mark O ok,
  S stale, N not found, E expired, F full }.
]]
--- include limits
--- include bus_stream
--- include bus_group
local STRIDE, HEAD = 3, 3
local reply, marks, ids = { 'settled', '0' }, {}, {}
for i = HEAD + 1, #ARGV, STRIDE do ids[#ids + 1] = ARGV[i] end
local texts = readMany('HMGET', KEYS[6], ids)

-- The usual mark first: PROCESSED, by the lease that holds the row. Such rows go without being taken apart.
-- One with a key does so only before all others, since for a key the order of marks matters.
local dropped, unplaced, noDeadlines = direct.dropped, direct.unplaced, direct.noDeadlines
local ended, isTaken, freed, freedKeys, isAhead = {}, {}, {}, {}, {}
local function takeUsual(id, lease, text)
  local size, key, due, token = match(text, '^L!%d+!(%d+)!([^!]*)!(%d+)!(%d+)$')
  if token ~= lease or isTaken[id] or (key ~= '' and #marks > 0) then return false end
  -- Rows of one claim have one deadline.
  if isAhead[due] == nil then isAhead[due] = tonumber(due) > now end
  if not isAhead[due] then return false end
  isTaken[id] = true
  local n = #dropped + 1
  dropped[n], unplaced[n], noDeadlines[n] = id, 'L' .. id, id
  local sum = ended[token]
  if not sum then
    sum = { 0, 0 }
    ended[token] = sum
  end
  sum[1], sum[2] = sum[1] + 1, sum[2] + size
  rows[id], before[id] = false, false
  if key ~= '' then freed[#freed + 1], freedKeys[#freedKeys + 1] = id, key end
  return true
end

local args = ARGV
for i, id in ipairs(ids) do
  local at = HEAD + (i - 1) * STRIDE
  local lease, mark = args[at + 2], args[at + 3]
  if lease ~= '' and mark == 'P' and texts[i] and rows[id] == nil and takeUsual(id, lease, texts[i]) then
    reply[i + 2] = 'O'
  else
    if before[id] == nil then
      before[id] = parseRow(texts[i])
      rows[id] = before[id]
    end
    marks[#marks + 1] = { at = i, seq = tonumber(id), id = id, lease = lease, mark = sub(mark, 1, 1),
      delay = tonumber(sub(mark, 2)) }
  end
end
for token, sum in pairs(ended) do endLeases(token, sum[1], sum[2]) end
loadHolders(freedKeys)
for i, id in ipairs(freed) do freeKey(id, freedKeys[i]) end

-- Loaded in one command for those that need it, which with leases is none.
local rowless, ahead = {}, {}
for _, mark in ipairs(marks) do
  if not rows[mark.id] then rowless[#rowless + 1] = mark.id end
  if mark.seq >= group.cursor then ahead[#ahead + 1] = mark.id end
end
loadLetters(rowless)
loadExceptions(ahead)

local function processed(mark, row)
  if row then dropRow(mark.id) return 'O' end
  if letterOf(mark.id) or mark.seq < group.cursor then return 'O' end
  catchUp()
  return except(mark.id) and 'O' or 'F'
end

-- A row for an event that has none: first in its key's line if that is busy.
local function makeRow(mark, state, due)
  catchUp()
  if not except(mark.id) then return 'F' end
  local header = entriesFrom(mark.seq, 1)[1][2][2]
  local size, key = sizeAndKey(header)
  if key ~= '' and holderOf(key) then
    joinLine(mark.id, 0, size, key, true)
  elseif state == 'Y' then
    makeReady(mark.id, 0, size, key)
  else
    put(mark.id, state, 0, size, key, due, num(now))
    hold(key, mark.id)
    isDeliverable = true
  end
  return 'O'
end

local function retry(mark, row)
  if not row and letterOf(mark.id) then return 'O' end
  if not row then return makeRow(mark, 'R', now + (mark.delay or minBackoffMs)) end
  if row.state == 'W' then return 'O' end
  if row.state == 'L' and maxAttempts > 0 and row.attempts >= maxAttempts then
    die(mark.id)
    return 'O'
  end
  if row.state == 'L' then endLease(row) end
  put(mark.id, 'R', row.attempts, row.bytes, row.key, now + (mark.delay or backoffMs(row.attempts)), num(now))
  isDeliverable = true
  return 'O'
end

local function unprocessed(mark, row)
  if row then
    if row.state == 'W' then return 'O' end
    if row.state == 'L' then endLease(row) end
    makeReady(mark.id, 0, row.bytes, row.key)
    return 'O'
  end
  if letterOf(mark.id) then
    revive(mark.id)
    return 'O'
  end
  if mark.seq < group.cursor then return makeRow(mark, 'Y') end
  if unexcept(mark.id) then isDeliverable = true end
  return 'O'
end

local rules = { P = processed, R = retry, U = unprocessed }

local function settle(mark)
  if mark.seq < 1 or mark.seq > last then return 'N' end
  local row = rowOf(mark.id)
  if mark.lease ~= '' and not (row and row.state == 'L' and row.more == mark.lease and row.due > now) then
    return 'S'
  end
  if not row and not letterOf(mark.id) and mark.seq < first then return 'E' end
  return rules[mark.mark](mark, row)
end

for _, mark in ipairs(marks) do reply[mark.at + 2] = settle(mark) end
reply[2] = newlyTrimmed()
flush()
return reply
