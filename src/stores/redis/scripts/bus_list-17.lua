#!lua flags=no-writes
--[[
  Reads a page of events that are kept, with their status for a group. Statuses that have a set are read
  from it; for the others at most limit + 1,000 sequences are looked at, without their bodies.

  KEYS     as in include/bus_group.lua
  ARGV[1]  the channel that wakes
  ARGV[2]  the group
  ARGV[3]  settings if a group that does not exist reads as new, or ''
  ARGV[4]  '' or the status: U unprocessed, P processed, R retry, L leased, W waiting, D dead
  ARGV[5]  the sequence to begin at
  ARGV[6]  events at most

  Returns { 'UNKNOWN' | 'GONE' | 'NO_GROUP' }, or { 'page', the sequence to go on from or '', then for each
  event `status!attempts!seq!header` and body }.
]]
--- include limits
--- include bus_stream
--- include bus_group
local MAX_PAGE_BYTES, CHUNK = 4194304, 256
local wanted, limit = ARGV[4], tonumber(ARGV[6])
local looksLeft = limit + 1000
local found = {} -- { seq, status, attempts }
local nextSeq

local function statusOf(id)
  local row = rows[id]
  if row and row.state == 'L' and row.due <= now then return 'R', row.attempts end
  if row then return row.state == 'Y' and 'U' or row.state, row.attempts end
  if letters[id] then return 'D', tonumber(letters[id].attempts) end
  if tonumber(id) < group.cursor or exceptions[id] then return 'P', 0 end
  return 'U', 0
end

-- Takes what is wanted of these ids, in order; false = the page is full.
local function take(ids)
  loadRows(ids)
  local rowless, ahead = {}, {}
  for _, id in ipairs(ids) do
    if not rows[id] then rowless[#rowless + 1] = id end
    if not rows[id] and tonumber(id) >= group.cursor then ahead[#ahead + 1] = id end
  end
  loadLetters(rowless)
  loadExceptions(ahead)
  for _, id in ipairs(ids) do
    if #found == limit or looksLeft == 0 then
      nextSeq = tonumber(id)
      return false
    end
    looksLeft = looksLeft - 1
    local status, attempts = statusOf(id)
    if wanted == '' or status == wanted then found[#found + 1] = { tonumber(id), status, attempts } end
  end
  return true
end

local function takeFromLog(seq)
  while seq <= last do
    local ids = {}
    for each = seq, min(last, seq + CHUNK - 1) do ids[#ids + 1] = idOf(each) end
    if not take(ids) then return end
    seq = seq + CHUNK
  end
end

-- Sets in order of sequence, merged: each { key, prefix of its members }; false = the page is full.
local function takeFromSets(sets, seq, before)
  while true do
    local ids, readTo = {}, nil
    for _, set in ipairs(sets) do
      local from = '[' .. set[2] .. idOf(seq)
      local members = call('ZRANGEBYLEX', set[1], from, '(' .. set[2] .. ':', 'LIMIT', 0, CHUNK)
      for _, member in ipairs(members) do ids[#ids + 1] = sub(member, -16) end
      -- Beyond the end of a full read there may be more of this set.
      if #members == CHUNK then readTo = min(readTo or math.huge, tonumber(sub(members[CHUNK], -16))) end
    end
    table.sort(ids)
    local within = {}
    for _, id in ipairs(ids) do
      local each = tonumber(id)
      if (not readTo or each <= readTo) and (not before or each < before) then within[#within + 1] = id end
    end
    if not take(within) then return false end
    if not readTo or (before and readTo >= before) then return true end
    seq = readTo + 1
  end
end

local from = max(first, tonumber(ARGV[5]))
if wanted == 'W' then takeFromSets({ { KEYS[7], 'W' } }, from)
elseif wanted == 'L' then takeFromSets({ { KEYS[7], 'L' } }, from)
elseif wanted == 'D' then takeFromSets({ { KEYS[16], '' } }, from)
elseif wanted == 'R' then
  local sets = { { KEYS[7], 'R' } }
  -- Leases that nobody has expired yet read as RETRY.
  if call('ZCOUNT', KEYS[8], '-inf', num(now)) > 0 then sets[2] = { KEYS[7], 'L' } end
  takeFromSets(sets, from)
elseif wanted == 'U' then
  -- Before the cursor nothing reads so but rows made ready.
  if takeFromSets({ { KEYS[7], 'Y' } }, from, group.cursor) then takeFromLog(max(from, group.cursor)) end
else
  takeFromLog(from)
end

-- The events themselves, in runs of consecutive sequences.
local reply, bytes, at = { 'page', '' }, 0, 1
while at <= #found do
  local run = 1
  while found[at + run] and found[at + run][1] == found[at][1] + run do run = run + 1 end
  for _, entry in ipairs(entriesFrom(found[at][1], chunkFor(MAX_PAGE_BYTES - bytes, run))) do
    local seq, status, attempts = unpack(found[at])
    local size = sizeAndKey(entry[2][2])
    if #reply > 2 and bytes + size > MAX_PAGE_BYTES then
      reply[2] = num(seq)
      return reply
    end
    bytes = bytes + size
    reply[#reply + 1] = status .. '!' .. num(attempts) .. '!' .. num(seq) .. '!' .. entry[2][2]
    reply[#reply + 1] = entry[2][4]
    at = at + 1
  end
end
if nextSeq then reply[2] = num(nextSeq) end
return reply
