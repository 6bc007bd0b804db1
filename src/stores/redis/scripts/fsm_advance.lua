#!lua
--[[
  Decides 1 to 100 events of one machine, in order, and makes what follows true.

  Guarantee: one atomic step. Everything is decided before the first write, and nothing after the
  first write can fail; out of memory, Redis refuses the script before it starts. The rule is `decide`
  of src/fsm/machine.ts. The cost depends neither on the length of the history nor on the number of
  machines: 9 commands for one applied event, 11 when the state changes.

  All names are tokens, joined by '!'; layouts in keys.ts and fsm-records.ts. (variable number of KEYS)

  KEYS[1]  the machine
  KEYS[2]  its history
  KEYS[3]  the index of its shard
  KEYS[4]  the change feed of its shard
  KEYS[5]  the flag of watchers that wait
  KEYS[6..] the outcome of each event

  ARGV[1]  the machine's id
  ARGV[2]  how many history entries to keep, 0 = all
  ARGV[3]  how long a final outcome is kept, ms
  ARGV[4]  how many configuration versions are known to the caller (V)
  ARGV[5]  the channel that wakes watchers
  ARGV[6..] the V versions, then for each event 6 values:
    1 body hash, 2 expected version or '', 3 expected state or '', 4 `eventId!name`,
    5 `originator!timestampUs!details`, 6 where in ARGV the edges of its name begin
  then the edges: for each distinct event name V texts `!from=to!from=to!`

  Returns { 'CONFIGURATION', version } with nothing done if the machine follows another version, else
  { one text for each event: '+' and the outcome when decided now, '=' and the outcome when it was
  decided before, 'X' when the id was used for another body }.
]]
-- Numbers that only go to commands are texts: turning one into the other takes a microsecond.
local REFUSAL_RETENTION_MS, REFUSAL_RETENTION = 600000, '600000'
local FEED_MAX_ENTRIES = '100000'
local FEED_RETENTION_MS = 600000
local STRIDE = 6

local call, find, match, sub, format = redis.call, string.find, string.match, string.sub, string.format
local machineKey, historyKey, indexKey, feedKey, flagKey = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local id, versionsKnown = ARGV[1], tonumber(ARGV[4])
local firstEvent = 5 + versionsKnown

local time = call('TIME')
local now = time[1] .. sub('00000' .. time[2], -6, -4)

local record = call('GET', machineKey)
local version, state, static, configuration, uid, which
if record then
  version, state, static, configuration, uid =
    match(record, '^(%d+)!([^!]*)!%d+!(([^!]*)!([^!]*).*)$')
  for i = 1, versionsKnown do
    if ARGV[5 + i] == configuration then which = i - 1 break end
  end
  if not which then return { 'CONFIGURATION', configuration } end
end

-- Decide: from here to the end of the loop only locals change.
local startState, answers, outcomes, finals = state, {}, {}, {}
local entries, changes = {}, {}

local function destination(edgesAt)
  local edges = ARGV[edgesAt + which]
  local _, last = find(edges, '!' .. state .. '=', 1, true)
  return last and match(edges, '^[^!]*', last + 1)
end

local function evaluate(at, hash)
  if not record then return 'F!' .. hash .. '!!' .. now, false end
  local head = hash .. '!' .. uid .. '!' .. now .. '!'
  local expectedVersion, expectedState = ARGV[at + 2], ARGV[at + 3]
  if (expectedVersion ~= '' and expectedVersion ~= version) or (expectedState ~= '' and expectedState ~= state) then
    return 'M!' .. head .. version .. '!' .. state, false
  end
  local to = destination(tonumber(ARGV[at + 6]))
  if not to then return 'N!' .. head .. version .. '!' .. state .. '!' .. configuration, true end
  local from, event = state, ARGV[at + 4]
  version, state = format('%d', version + 1), to
  entries[#entries + 1] = from .. '!' .. to .. '!' .. now .. '!' .. event .. '!' .. ARGV[at + 5]
  changes[#changes + 1] = 'T!' .. id .. '!' .. uid .. '!' .. version .. '!' .. configuration .. '!'
    .. from .. '!' .. to .. '!' .. now .. '!' .. event
  return 'A!' .. head .. version .. '!' .. from .. '!' .. to, true
end

for i = 1, #KEYS - 5 do
  local outcomeKey, at = KEYS[5 + i], firstEvent + (i - 1) * STRIDE
  local hash = ARGV[at + 1]
  -- An id that comes twice in one call meets what was decided for it just now.
  local earlier = outcomes[outcomeKey] or call('HGET', outcomeKey, id)
  local kind = earlier and sub(earlier, 1, 1)
  if kind == 'A' or kind == 'N' then
    answers[i] = match(earlier, '^.!([^!]*)') == hash and '=' .. earlier or 'X'
  else
    local outcome, final = evaluate(at, hash)
    outcomes[outcomeKey], finals[outcomeKey] = outcome, final
    answers[i] = '+' .. outcome
  end
end

-- Write.
for outcomeKey, outcome in pairs(outcomes) do
  call('HSET', outcomeKey, id, outcome)
  if finals[outcomeKey] then
    call('PEXPIRE', outcomeKey, ARGV[3])
  elseif call('PTTL', outcomeKey) < REFUSAL_RETENTION_MS then
    -- The key may hold other machines' final outcomes: their life is never shortened.
    call('PEXPIRE', outcomeKey, REFUSAL_RETENTION)
  end
end
if #changes == 0 then return answers end

call('SET', machineKey, version .. '!' .. state .. '!' .. now .. '!' .. static)
call('RPUSH', historyKey, unpack(entries))
if ARGV[2] ~= '0' then call('LTRIM', historyKey, '-' .. ARGV[2], '-1') end
if state ~= startState then
  local member = '!' .. configuration .. '!' .. id
  call('ZREM', indexKey, startState .. member)
  call('ZADD', indexKey, '0', state .. member)
end
for i = 1, #changes do
  call('XADD', feedKey, 'MAXLEN', '~', FEED_MAX_ENTRIES, '*', 'c', changes[i])
end
-- One call in 64 or so also drops what is too old; the microseconds serve as the dice.
if time[2] % 64 == 0 then call('XTRIM', feedKey, 'MINID', '~', format('%d', now - FEED_RETENTION_MS)) end
if call('DEL', flagKey) == 1 then call('PUBLISH', ARGV[5], flagKey) end
return answers
