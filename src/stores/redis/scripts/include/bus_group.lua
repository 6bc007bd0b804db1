-- Every script on what a group has in flight goes on here: the group's facts, and its rows as they would
-- be. Rules change only these tables; `flush` writes what has changed, in a few commands whatever the
-- number of rows. Answers { 'NO_GROUP' } if there is none and ARGV[3] does not make it.
-- KEYS[4..17] groups, group, rows, order, deadlines, due, lines, busy, consumers, leases, copies, deaths,
-- dead, letters (bus-keys.ts); ARGV[2] the group, ARGV[3] settings of a group to be made, or ''.
local FACTS = { 'cursor', 'place', 'trimmed', 'blocked', 'dropped', 'deaths' }
local group, groupBefore = {}, {}
local settings, filter
do
  local kept = call('HMGET', KEYS[5], 'settings', 'filter', unpack(FACTS))
  if not kept[1] and ARGV[3] == '' then return { 'NO_GROUP' } end
  settings, filter = kept[1] or ARGV[3], kept[2] or ''
  for i, name in ipairs(FACTS) do
    groupBefore[name] = kept[i + 2]
    group[name] = kept[i + 2] or '0'
    if name ~= 'blocked' then group[name] = tonumber(group[name]) end
  end
  if not kept[1] then group.cursor, group.blocked = first, '' end
end
local isNew = not groupBefore.cursor
-- How many more the group counts as trimmed unprocessed, for the caller to tell.
local function newlyTrimmed() return num(group.trimmed - (tonumber(groupBefore.trimmed or 0))) end
local ackDeadlineMs, maxAttempts, minBackoffMs, maxBackoffMs = match(settings, '^(%d+)!(%d+)!(%d+)!(%d+)$')
ackDeadlineMs, maxAttempts = tonumber(ackDeadlineMs), tonumber(maxAttempts)
minBackoffMs, maxBackoffMs = tonumber(minBackoffMs), tonumber(maxBackoffMs)

local function backoffMs(attempt)
  return min(maxBackoffMs, minBackoffMs * 2 ^ min(max(attempt, 1) - 1, 30))
end

-- What a command reads for any number of values.
local function readMany(name, key, values)
  local found = {}
  for i = 1, #values, 1000 do
    for j, value in ipairs(call(name, key, unpack(values, i, min(i + 999, #values)))) do found[i + j - 1] = value end
  end
  return found
end

-- What has come true for those who wait.
local isDeliverable, isCreditFreed = false, false

--- include bus_rows
--- include bus_lines
--- include bus_leases
--- include bus_exceptions
--- include bus_letters

-- EXPIRE: the deadline of a leased row has passed.
local function expire(id)
  local row = rowOf(id)
  if maxAttempts > 0 and row.attempts >= maxAttempts then return die(id) end
  endLease(row)
  put(id, 'R', row.attempts, row.bytes, row.key, row.due + backoffMs(row.attempts), num(row.due))
end

--- include bus_flush
