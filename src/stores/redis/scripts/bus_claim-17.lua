#!lua
--[[
  Runs expiries that are due and leases events to a consumer: CLAIM and EXPIRE of src/bus/delivery.ts.

  Guarantee: one atomic step; what is written is decided before the first write, and nothing after it can
  fail. A claim that hands out nothing asks to be woken in the same step. About 25 commands and one read
  for each row handed out again, whatever the stream holds.

  KEYS     as in include/bus_group.lua
  ARGV[1]  the channel that wakes
  ARGV[2]  the group
  ARGV[3]  settings if the group is made by being used, or ''
  ARGV[4]  the consumer        ARGV[5]  its claim id
  ARGV[6]  events at most      ARGV[7]  bytes at most, but one event at least
  ARGV[8]  credit in events    ARGV[9]  credit in bytes
  ARGV[10] ack deadline, ms; '' = the group's
  ARGV[11] '' or, to claim only what is to be retried, the sequence after which
  ARGV[12] and the latest time at which it came to be so

  Returns { 'UNKNOWN' | 'GONE' | 'NO_GROUP' }, { 'TOO_MANY_CONSUMERS', newly trimmed unprocessed }, or
  { 'claimed', newly trimmed unprocessed, '1' if there may be more now, '1' if the credit is spent, when the
  next row comes due or '', now, then for each event `seq!attempt!lease!deadline!header` and its body }.
]]
--- include limits
--- include bus_stream
--- include bus_group
local name, claimId = ARGV[4], ARGV[5]
local mostEvents, mostBytes = tonumber(ARGV[6]), tonumber(ARGV[7])
local reply = { 'claimed', '0', '0', '0', '', num(now) }

local function hand(id, row, header, body)
  reply[#reply + 1] = num(tonumber(id)) .. '!' .. num(row.attempts) .. '!' .. row.more .. '!' .. num(row.due)
    .. '!' .. header
  reply[#reply + 1] = body
end

local function finish()
  local due, deadline = call('ZRANGE', KEYS[9], 0, 0, 'WITHSCORES'), call('ZRANGE', KEYS[8], 0, 0, 'WITHSCORES')
  local nextMs = due[2] and tonumber(due[2])
  if deadline[2] and (not nextMs or tonumber(deadline[2]) < nextMs) then nextMs = tonumber(deadline[2]) end
  if nextMs then reply[5] = num(nextMs) end
  if #reply == 6 then askToBeWoken(reply[4] == '1' and 'c' or 'e') end
  reply[2] = newlyTrimmed()
  return reply
end

local consumer = consumerOf(name)

-- The same claim again.
if consumer.isKept and consumer.claimId == claimId then
  local ids = idsOf(leaseOf(consumer.lease))
  loadRows(ids)
  for _, id in ipairs(ids) do
    local row = rows[id]
    if row and row.state == 'L' and row.more == consumer.lease and row.due > now then
      local header, body = eventOf(id)
      if header then hand(id, row, header, body) end
    end
  end
  if #reply > 6 then return finish() end
end

local isCut = false -- The claim stopped at its own limits.
local expired = call('ZRANGEBYSCORE', KEYS[8], '-inf', num(now), 'LIMIT', 0, MAX_EXPIRIES + 1)
local hasMoreExpired = #expired > MAX_EXPIRIES
if hasMoreExpired then expired[#expired] = nil end
loadRows(expired)
for _, id in ipairs(expired) do expire(id) end
if hasMoreExpired then isCut = true end

catchUp()

local creditEvents = tonumber(ARGV[8]) - consumer.count
local creditBytes = tonumber(ARGV[9]) - consumer.bytes
if creditEvents <= 0 or creditBytes <= 0 then
  flush()
  reply[4] = '1'
  return finish()
end
if not consumer.isKept and call('HLEN', KEYS[12]) >= MAX_CONSUMERS then
  flush()
  return { 'TOO_MANY_CONSUMERS', newlyTrimmed() }
end
mostEvents, mostBytes = min(mostEvents, creditEvents), min(mostBytes, creditBytes)

local given, givenBytes = {}, 0
local lease = num(stream[3] + 1)
local dueMs = now + (ARGV[10] ~= '' and tonumber(ARGV[10]) or ackDeadlineMs) + ACCEPT_GRACE_MS

-- Whether one more event of this size fits; the first always does.
local function fits(size)
  if #given < mostEvents and (#given == 0 or givenBytes + size <= mostBytes) then return true end
  isCut = true
  return false
end

local function give(id, attempts, size, key, header, body)
  put(id, 'L', attempts, size, key, dueMs, lease)
  hold(key, id)
  given[#given + 1] = tonumber(id)
  givenBytes = givenBytes + size
  hand(id, rows[id], header, body)
end

-- A row that comes again, unless retention took its event; false = the claim is full.
local function giveRow(id)
  local row = rowOf(id)
  local header, body = eventOf(id)
  if not header then
    dropRow(id)
    group.trimmed = group.trimmed + 1
    return true
  end
  if not fits(row.bytes) then return false end
  give(id, row.attempts + 1, row.bytes, row.key, header, body)
  return true
end

local function byDue(a, b)
  if rows[a].due ~= rows[b].due then return rows[a].due < rows[b].due end
  return tonumber(a) < tonumber(b)
end

-- What is due, oldest first: as kept, and what this step itself made due. False = the claim is full.
local function giveDue()
  local offset, seen = 0, {}
  while true do
    local kept = call('ZRANGEBYSCORE', KEYS[9], '-inf', num(now), 'LIMIT', offset, min(mostEvents - #given, 256) + 1)
    offset = offset + #kept
    loadRows(kept)
    for id in pairs(changed) do kept[#kept + 1] = id end
    local ids = {}
    for _, id in ipairs(kept) do
      local row = rows[id]
      if row and not seen[id] and (row.state == 'R' or row.state == 'Y') and row.due <= now then ids[#ids + 1] = id end
      seen[id] = row and (row.state == 'R' or row.state == 'Y') or nil
    end
    if #ids == 0 then return true end
    table.sort(ids, byDue)
    for _, id in ipairs(ids) do
      if #given >= mostEvents then
        isCut = true
        return false
      end
      if not giveRow(id) then return false end
    end
  end
end

--- include bus_filter

-- Dead letters from the cursor on, which a seek back has left there.
local isDead = {}

-- What all new rows have in common, in their texts and in the answer.
local dueText = num(dueMs)
local rowEnd, handMiddle = '!' .. dueText .. '!' .. lease, '!1!' .. lease .. '!' .. dueText .. '!'
local set, placed, deadlines = direct.set, direct.placed, direct.deadlines

-- An event that is handed out for the first time; a row like any other, written straight.
local function giveNew(seq, id, size, key, header, body)
  local n = #set
  set[n + 1], set[n + 2] = id, 'L!1!' .. size .. '!' .. key .. rowEnd
  placed[n + 1], placed[n + 2] = '0', 'L' .. id
  deadlines[n + 1], deadlines[n + 2] = dueText, id
  n = #reply
  reply[n + 1], reply[n + 2] = seq .. handMiddle .. header, body
  if key ~= '' then hold(key, id) end
  given[#given + 1] = group.cursor
  givenBytes = givenBytes + size
end

-- Looks at one entry; false = the claim stops before it.
local function passEntry(seq, header, body, size, key)
  local id = sub('0000000000000000', #seq + 1) .. seq
  if exceptions[id] then return unexcept(id) end
  if isDead[id] or born[id] or (wantedTypes and not isWanted(header)) then return true end
  size = tonumber(size)
  if key ~= '' and holderOf(key) then
    if waiting() >= MAX_WAITING then
      group.blocked = key
      return false
    end
    -- A row at the cursor would come with an exception.
    if rows[id] == nil then rows[id], before[id] = false, false end
    joinLine(id, 0, size, key, false)
    return true
  end
  if not fits(size) then return false end
  giveNew(seq, id, size, key, header, body)
  return true
end

local function giveFromCursor()
  group.blocked = ''
  local looked = 0
  while group.cursor <= last do
    if looked >= MAX_LOOK_EVENTS or #given >= mostEvents then
      isCut = true
      return
    end
    local most = min(MAX_LOOK_EVENTS - looked, max(mostEvents - #given, 16))
    local entries = entriesFrom(group.cursor, chunkFor(mostBytes - givenBytes, most))
    local firstId, lastId = idOfEntry(entries[1]), idOfEntry(entries[#entries])
    for _, member in ipairs(call('ZRANGEBYLEX', KEYS[7], '[X' .. firstId, '[X' .. lastId)) do
      local id = sub(member, 2)
      -- One that died in this step is an exception no more.
      if exceptions[id] == nil then exceptions[id], exceptionsBefore[id] = true, true end
    end
    for _, id in ipairs(call('ZRANGEBYLEX', KEYS[16], '[' .. firstId, '[' .. lastId)) do isDead[id] = true end
    local sizes, keys, keyed = {}, {}, {}
    for i = 1, #entries do
      local size, key = match(entries[i][2][2], '^%d+!(%d+)!([^!]*)')
      sizes[i], keys[i] = size, key
      if key ~= '' then keyed[#keyed + 1] = key end
    end
    loadHolders(keyed)
    for i = 1, #entries do
      if #given >= mostEvents then break end
      local entry, fields = entries[i], entries[i][2]
      if not passEntry(sub(entry[1], 1, -3), fields[2], fields[4], sizes[i], keys[i]) then return end
      group.cursor = group.cursor + 1
      looked = looked + 1
    end
  end
end

-- What reads as RETRY, in order; what still has to expire comes first, in the next claim.
local function giveRetries()
  if hasMoreExpired then
    isCut = true
    return
  end
  local ids, beganMs = {}, tonumber(ARGV[12])
  for _, id in ipairs(expired) do
    if rows[id] and rows[id].state == 'R' and tonumber(id) > tonumber(ARGV[11]) then ids[#ids + 1] = id end
  end
  local after = '(R' .. idOf(tonumber(ARGV[11]))
  repeat
    local members = call('ZRANGEBYLEX', KEYS[7], after, '(S', 'LIMIT', 0, 256)
    for i, member in ipairs(members) do members[i] = sub(member, 2) end
    loadRows(members)
    for _, id in ipairs(members) do ids[#ids + 1] = id end
    table.sort(ids)
    -- An expired row may lie beyond the members read: it waits for its turn.
    local lastRead = #members == 256 and members[256]
    local later = {}
    for _, id in ipairs(ids) do
      if lastRead and tonumber(id) > tonumber(lastRead) then
        later[#later + 1] = id
      elseif rows[id] and rows[id].state == 'R' and tonumber(rows[id].more) <= beganMs and not giveRow(id) then
        return
      end
    end
    ids = later
    if lastRead then after = '(R' .. lastRead end
  until not lastRead
end

if ARGV[11] ~= '' then giveRetries() elseif giveDue() then giveFromCursor() end

-- Write.
if #given > 0 then
  -- The rows as runs of consecutive sequences.
  local runs, start, count = {}, given[1], 1
  for i = 2, #given + 1 do
    if given[i] == start + count then
      count = count + 1
    else
      runs[#runs + 1] = num(start) .. ':' .. num(count)
      start, count = given[i], 1
    end
  end
  leases[lease] = { left = #given, consumer = name, runs = table.concat(runs, ','), isChanged = true, isNew = true }
  consumer.count, consumer.bytes = consumer.count + #given, consumer.bytes + givenBytes
  consumer.claimId, consumer.lease, consumer.isChanged = claimId, lease, true
  call('HSET', KEYS[1], 'lease', lease)
end
flush()
if isCut or #given >= mostEvents then reply[3] = '1' end
return finish()
