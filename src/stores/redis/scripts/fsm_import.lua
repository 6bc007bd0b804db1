#!lua
--[[
  Brings a chunk of a machine's past: at most 1,000 transitions and 1,000 refusals.

  Guarantee: one atomic step. Everything is decided before the first write, and nothing after the first
  write can fail; out of memory, Redis refuses the script before it starts. The rule is `decideImport`
  of src/fsm/import.ts; what is written is what creating the machine and applying its events leave.

  All names are tokens, joined by '!'; layouts in keys.ts and fsm-records.ts. (variable number of KEYS)

  KEYS[1]  the machine
  KEYS[2]  its history
  KEYS[3]  the index of its shard
  KEYS[4]  the change feed of its shard
  KEYS[5]  the flag of watchers that wait
  KEYS[6..] the outcome of each transition, then of each refusal

  ARGV[1]  the machine's id
  ARGV[2]  configuration version
  ARGV[3]  uid, if it is created
  ARGV[4]  `importId!mark`, what a machine of this import keeps of its request
  ARGV[5]  how many history entries to keep, 0 = all
  ARGV[6]  how long a final outcome is kept, ms
  ARGV[7]  the channel that wakes watchers
  ARGV[8]  the version after the first transition
  ARGV[9]  how many transitions (T)
  ARGV[10] the state after them
  ARGV[11..] for each transition 5 values: from, to, body hash, `eventId!name`,
             `originator!timestampUs!details`; then for each refusal 2: body hash, `version!state`

  Returns { 'imported', '1' if something was new, record }, { 'exists', record }, { 'fsm_not_found' },
  { 'broken', which transition from 0, record } or { 'event_id_reused', which of KEYS from 0 }.
]]
local FEED_MAX_ENTRIES = '100000'
local HEAD, STRIDE, REFUSAL_STRIDE, OUTCOMES = 10, 5, 2, 5

local call, match, format = redis.call, string.match, string.format
local machineKey, historyKey, indexKey, feedKey, flagKey = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local id, configuration, request = ARGV[1], ARGV[2], ARGV[4]
local firstVersion, count = tonumber(ARGV[8]), tonumber(ARGV[9])
local refusedCount = #KEYS - OUTCOMES - count

-- Field 1 to 5 of a transition, counted from 1.
local function transition(i, field) return ARGV[HEAD + (i - 1) * STRIDE + field] end
local function refusal(i, field) return ARGV[HEAD + count * STRIDE + (i - 1) * REFUSAL_STRIDE + field] end

local time = call('TIME')
local now = time[1] .. string.sub('00000' .. time[2], -6, -4)

-- Decide.
local record = call('GET', machineKey)
local version, state, static, uid = 0, count > 0 and transition(1, 1) or ARGV[10], nil, ARGV[3]
if record then
  local followed, keptRequest
  version, state, static, followed, uid = match(record, '^(%d+)!([^!]*)!%d+!(([^!]*)!([^!]*).*)$')
  version = tonumber(version)
  keptRequest = match(static, '^[^!]*![^!]*!%d+![^!]*!(.*)$')
  if keptRequest ~= request or followed ~= configuration then return { 'exists', record } end
elseif firstVersion > 1 then
  return { 'fsm_not_found' }
end
local known = version - (firstVersion - 1)
if known < 0 then return { 'exists', record } end
local skipped = math.min(known, count)
if skipped > 0 then
  local entry = call('LINDEX', historyKey, format('%.0f', firstVersion - 2 + skipped - version))
  local there = entry and match(entry, '^[^!]*![^!]*!%d+!([^!]*)')
  if there and there ~= match(transition(skipped, 4), '^[^!]*') then return { 'exists', record } end
end
if skipped < count and transition(skipped + 1, 1) ~= state then
  return { 'broken', format('%d', skipped), record }
end

-- The body hash of the final outcome that is kept, if any.
local function finalHash(outcomeKey)
  local earlier = call('HGET', outcomeKey, id)
  return earlier and match(earlier, '^[AN]!([^!]*)')
end
for i = skipped + 1, count do
  local hash = finalHash(KEYS[OUTCOMES + i])
  if hash and hash ~= transition(i, 3) then return { 'event_id_reused', format('%d', i - 1) } end
end
local refused = {}
for i = 1, refusedCount do
  local hash = finalHash(KEYS[OUTCOMES + count + i])
  if hash and hash ~= refusal(i, 1) then return { 'event_id_reused', format('%d', count + i - 1) } end
  if not hash then refused[#refused + 1] = i end
end
if record and skipped == count and #refused == 0 then return { 'imported', '0', record } end

local startState, startVersion = state, version
if not record then
  static = configuration .. '!' .. uid .. '!' .. now .. '!' .. state .. '!' .. request
end
local entries, changes, outcomes = {}, {}, {}
for i = skipped + 1, count do
  local from, to, event = state, transition(i, 2), transition(i, 4)
  version, state = version + 1, to
  local at = format('%.0f', version)
  entries[#entries + 1] = from .. '!' .. to .. '!' .. now .. '!' .. event .. '!' .. transition(i, 5)
  changes[#changes + 1] = 'T!' .. id .. '!' .. uid .. '!' .. at .. '!' .. configuration .. '!'
    .. from .. '!' .. to .. '!' .. now .. '!' .. event
  outcomes[KEYS[OUTCOMES + i]] = 'A!' .. transition(i, 3) .. '!' .. uid .. '!' .. now .. '!' .. at .. '!' .. from .. '!' .. to
end
for _, i in ipairs(refused) do
  outcomes[KEYS[OUTCOMES + count + i]] = 'N!' .. refusal(i, 1) .. '!' .. uid .. '!' .. now .. '!' .. refusal(i, 2)
    .. '!' .. configuration
end

-- Write.
for outcomeKey, outcome in pairs(outcomes) do
  call('HSET', outcomeKey, id, outcome)
  call('PEXPIRE', outcomeKey, ARGV[6])
end
if record and version == startVersion then return { 'imported', '1', record } end

local isNew, member = not record, '!' .. configuration .. '!' .. id
record = format('%.0f', version) .. '!' .. state .. '!' .. now .. '!' .. static
call('SET', machineKey, record)
if #entries > 0 then
  call('RPUSH', historyKey, unpack(entries))
  if ARGV[5] ~= '0' then call('LTRIM', historyKey, '-' .. ARGV[5], '-1') end
end
if isNew then
  call('ZADD', indexKey, '0', state .. member)
  local created = 'C!' .. id .. '!' .. uid .. '!0!' .. configuration .. '!!' .. startState .. '!' .. now .. '!!'
  call('XADD', feedKey, 'MAXLEN', '~', FEED_MAX_ENTRIES, '*', 'c', created)
elseif state ~= startState then
  call('ZREM', indexKey, startState .. member)
  call('ZADD', indexKey, '0', state .. member)
end
for i = 1, #changes do
  call('XADD', feedKey, 'MAXLEN', '~', FEED_MAX_ENTRIES, '*', 'c', changes[i])
end
if call('DEL', flagKey) == 1 then call('PUBLISH', ARGV[7], flagKey) end
return { 'imported', '1', record }
