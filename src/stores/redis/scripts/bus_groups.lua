#!lua flags=no-writes
--[[
  Reads how a stream and its groups stand, in O(log in-flight) a group and never by a scan. Groups are few,
  but their keys must be told: a caller that knows other groups than there are is answered their names.

  KEYS[1]  facts   KEYS[2]  log   KEYS[3]  the flag of those who wait   KEYS[4]  groups
  KEYS[5..] for each group 8: group, order, deadlines, lines, deaths, dead, rows, busy (variable number of KEYS)
  ARGV[1]  the channel that wakes
  ARGV[2..] the groups' names as the caller knows them, in order

  Returns { 'UNKNOWN' | 'GONE' }, { 'NAMES', name, ... }, or { 'groups', first, last, bytes, then for each
  group 21: settings, filter, revision, generation, created ms, request, cursor, unprocessed, leased,
  retrying, waiting, dead, trimmed, dropped, oldest unprocessed ms or '', '1' if it is blocked, by which key,
  and of the key that the oldest of those waiting waits for: the key or '', the event that it is busy with,
  its attempts, who waits }.
]]
--- include limits
--- include bus_stream
local STRIDE, MAX_WALKED = 8, 1000
local names = call('ZRANGE', KEYS[4], 0, -1)
local isKnown = #names == #ARGV - 1
for i, name in ipairs(names) do isKnown = isKnown and ARGV[i + 1] == name end
if not isKnown then return { 'NAMES', unpack(names) } end

local function createdAt(seq)
  return match(entriesFrom(seq, 1)[1][2][2], '^%d+')
end

-- The first sequence from `seq` on that is not among the members; after many in a row, the one behind these.
local function firstAbsent(key, prefix, seq)
  local members = call('ZRANGEBYLEX', key, '[' .. prefix .. idOf(seq), '(' .. prefix .. ':', 'LIMIT', 0, MAX_WALKED)
  for i, member in ipairs(members) do
    if tonumber(sub(member, -16)) ~= seq + i - 1 then return seq + i - 1 end
  end
  return seq + #members
end

-- The first from the cursor on that is neither an exception nor dead.
local function firstAhead(orderKey, deadKey, seq)
  for _ = 1, 10 do
    local absent = firstAbsent(deadKey, '', firstAbsent(orderKey, 'X', seq))
    if absent == seq then break end
    seq = absent
  end
  return seq
end

-- Rows whose event retention took have no time any more.
local function oldestOf(orderKey, deadlinesKey, deadKey, cursor)
  local oldest = firstAhead(orderKey, deadKey, cursor)
  for _, state in ipairs({ 'R', 'W', 'Y' }) do
    local member = call('ZRANGEBYLEX', orderKey, '[' .. state .. idOf(first), '(' .. state .. ':', 'LIMIT', 0, 1)[1]
    if member then oldest = min(oldest, tonumber(sub(member, 2))) end
  end
  for _, id in ipairs(call('ZRANGEBYSCORE', deadlinesKey, '-inf', num(now), 'LIMIT', 0, 100)) do
    if tonumber(id) >= first then oldest = min(oldest, tonumber(id)) end
  end
  return oldest <= last and createdAt(oldest) or ''
end

-- Of all keys the one that has held others back the longest, and what it is busy with.
local function heldKey(orderKey, rowsKey, busyKey)
  local member = call('ZRANGEBYLEX', orderKey, '[W', '(W:', 'LIMIT', 0, 1)[1]
  if not member then return '', '', '', '' end
  local waiter = sub(member, 2)
  local key = match(call('HGET', rowsKey, waiter), '^.!%d+!%d+!([^!]*)')
  local holder = call('HGET', busyKey, key)
  return key, holder, match(call('HGET', rowsKey, holder), '^.!(%d+)'), waiter
end

local reply = { 'groups', num(first), num(last), stream[4] }
local function add(value) reply[#reply + 1] = type(value) == 'number' and num(value) or value end

for i = 1, #names do
  local at = 4 + (i - 1) * STRIDE
  local groupKey, orderKey, deadlinesKey, linesKey, deathsKey, deadKey, rowsKey, busyKey =
    unpack(KEYS, at + 1, at + STRIDE)
  local facts = call('HMGET', groupKey, 'settings', 'filter', 'revision', 'generation', 'created', 'request',
    'cursor', 'trimmed', 'dropped', 'blocked')
  local function countOf(state) return call('ZLEXCOUNT', orderKey, '[' .. state, '(' .. state .. ':') end
  local cursor = tonumber(facts[7])
  -- As if the cursor had passed already what retention took.
  local kept, trimmed = max(cursor, first), tonumber(facts[8])
  if cursor < first then
    trimmed = trimmed + first - cursor - call('ZLEXCOUNT', orderKey, '[X' .. idOf(cursor), '(X' .. idOf(first))
      - call('ZLEXCOUNT', deadKey, '[' .. idOf(cursor), '(' .. idOf(first))
  end
  local expired = call('ZCOUNT', deadlinesKey, '-inf', num(now))
  local waiting = call('ZCARD', linesKey)
  local ahead = last - kept + 1 - call('ZLEXCOUNT', orderKey, '[X' .. idOf(kept), '(Y')
    - call('ZLEXCOUNT', deadKey, '[' .. idOf(kept), '+')
  for j = 1, 6 do add(facts[j]) end
  add(kept)
  add(ahead + countOf('Y'))
  add(countOf('L') - expired)
  add(countOf('R') + expired)
  add(waiting)
  add(call('ZCARD', deathsKey))
  add(trimmed)
  add(facts[9])
  add(facts[2] == '' and oldestOf(orderKey, deadlinesKey, deadKey, kept) or '')
  add(facts[10] ~= '' and waiting >= MAX_WAITING and '1' or '0')
  add(facts[10])
  for _, value in ipairs({ heldKey(orderKey, rowsKey, busyKey) }) do add(value) end
end
return reply
