#!lua
--[[
  Appends events to a stream, all or none, with consecutive sequences.

  Guarantee: one atomic step; everything is decided before the first write, and nothing after it can
  fail; out of memory, Redis refuses the script before it starts. Checked in this order: request id,
  dedupe ids, expected sequence, dedupe cap, the stream's caps. About 6 commands and one an event.

  KEYS[1]  facts   KEYS[2]  log   KEYS[3]  the flag of those who wait
  KEYS[4]  remembered ids   KEYS[5]  when each was written
  ARGV[1]  the channel that wakes
  ARGV[2]  request id or ''   ARGV[3]  hash of the batch
  ARGV[4]  the sequence that must be the last, or ''
  ARGV[5]  the revision of the settings that the caller knows
  ARGV[6]  a line for each event: `bytes of the body!dedupe id or ''!hash!size!key!type!contentType!form!attributes`
  ARGV[7]  the bodies, one behind the other. Two arguments for the whole batch, since each one costs the
           driver 1.5 us and the server as much: 100 events of four took twice as long

  Returns { 'UNKNOWN' | 'GONE' | 'request_id_reused' | 'full' }, { 'dedupe_id_reused', index },
  { 'seq_mismatch', last }, { 'dedupe_full', ms until there is room }, or { 'written', answer }: the answer
  is `N!first!count!ms`, or with duplicates among them `D!ms!seq!seq:ms!...`, where those with a time are.
]]
--- include limits
--- include bus_stream
local kept = call('HMGET', KEYS[1], 'lastMs', 'firstMs', 'maxEvents', 'maxBytes', 'overflow', 'dedupe', 'revision')
if tonumber(kept[7]) < tonumber(ARGV[5]) then return { 'UNKNOWN' } end
local createMs = max(now, tonumber(kept[1]))
local maxEvents, maxBytes, dropsOldest = tonumber(kept[3]), tonumber(kept[4]), kept[5] == 'drop_oldest'
local dedupeMs, maxAgeMs = tonumber(kept[6]), tonumber(stream[5])
local request = ARGV[2] ~= '' and 'r' .. ARGV[2]

local ids, hashes, headers, sizes, bodyEnds = {}, {}, {}, {}, { [0] = 0 }
for length, id, hash, header, size in string.gmatch(ARGV[6], '(%d+)!([^!]*)!([^!]*)!((%d+)![^\n]*)\n') do
  local i = #ids + 1
  ids[i], hashes[i], headers[i], sizes[i], bodyEnds[i] = id, hash, header, tonumber(size), bodyEnds[i - 1] + length
end
local total = #ids

-- What is remembered of an id: when, hash, answer or sequence. Nothing once its window is over.
local function recall(text)
  if not text then return end
  local ms, hash, answer = match(text, '^(%d+)!([^!]*)!(.*)$')
  if tonumber(ms) > now - dedupeMs then return hash, answer, ms end
end

if request then
  local hash, answer = recall(call('HGET', KEYS[4], request))
  if hash and hash ~= ARGV[3] then return { 'request_id_reused' } end
  if hash then return { 'written', answer } end
end

local dedupeIds = {}
for _, id in ipairs(ids) do
  if id ~= '' then dedupeIds[#dedupeIds + 1] = 'd' .. id end
end
local recalled = {}
if #dedupeIds > 0 then
  for i, text in ipairs(call('HMGET', KEYS[4], unpack(dedupeIds))) do recalled[dedupeIds[i]] = text end
end

local fresh, items, inBatch, freshBytes, hasDuplicate = {}, {}, {}, 0, false
for i = 1, total do
  local id, hash = ids[i], hashes[i]
  local knownHash, seq, ms
  if id ~= '' then
    id = 'd' .. id
    if inBatch[id] then
      knownHash, seq, ms = inBatch[id].hash, inBatch[id].seq, num(createMs)
    else
      knownHash, seq, ms = recall(recalled[id])
    end
  end
  if knownHash and knownHash ~= hash then return { 'dedupe_id_reused', num(i - 1) } end
  if knownHash then
    hasDuplicate = true
    items[i] = seq .. ':' .. ms
  else
    fresh[#fresh + 1] = i
    items[i] = last + #fresh
    if id ~= '' then inBatch[id] = { hash = hash, seq = num(items[i]) } end
    freshBytes = freshBytes + sizes[i]
  end
end
if #fresh > 0 and ARGV[4] ~= '' and tonumber(ARGV[4]) ~= last then return { 'seq_mismatch', num(last) } end

-- Ids to remember, and those whose window is over.
local remembered, times = {}, {}
local function remember(id, hash, what)
  remembered[#remembered + 1] = id
  remembered[#remembered + 1] = num(createMs) .. '!' .. hash .. '!' .. what
  times[#times + 1] = num(createMs)
  times[#times + 1] = id
end
for id, item in pairs(inBatch) do remember(id, item.hash, item.seq) end
local answer
if hasDuplicate then
  for i, item in ipairs(items) do items[i] = type(item) == 'number' and num(item) or item end
  answer = 'D!' .. num(createMs) .. '!' .. table.concat(items, '!')
else
  answer = 'N!' .. num(last + 1) .. '!' .. num(total) .. '!' .. num(createMs)
end
if #fresh == 0 then return { 'written', answer } end
if request then remember(request, ARGV[3], answer) end
local forgotten = {}
if #times > 0 then
  local over = num(now - dedupeMs)
  forgotten = call('ZRANGEBYSCORE', KEYS[5], '-inf', over, 'LIMIT', 0, MAX_TRIM_EVENTS + #times)
  local records = call('ZCARD', KEYS[5]) + #times / 2
  if records > MAX_DEDUPE_RECORDS and records - call('ZCOUNT', KEYS[5], '-inf', over) > MAX_DEDUPE_RECORDS then
    local oldest = call('ZRANGEBYSCORE', KEYS[5], '(' .. over, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
    return { 'dedupe_full', num(max(1, oldest[2] + dedupeMs - now)) }
  end
end

-- What retention takes now: what is too old and, to drop the oldest, what is over the caps; never the newest.
local newLast = last + #fresh
local newFirst, newFirstMs, bytes = first, tonumber(kept[2]), tonumber(stream[4]) + freshBytes
local function isOver()
  return (maxEvents > 0 and newLast - newFirst + 1 > maxEvents) or (maxBytes > 0 and bytes > maxBytes)
end
-- A batch larger than the usual bound may take as many as it brings, or the cap would never hold.
local trimEnd = min(newLast, first + max(MAX_TRIM_EVENTS, #fresh))
local entries, entriesAt = {}, first
local function headerAt(seq)
  if not entries[seq - entriesAt + 1] then entries, entriesAt = entriesFrom(seq, chunkFor(1048576, 100)), seq end
  return entries[seq - entriesAt + 1][2][2]
end
while newFirst < trimEnd do
  local isOld = newFirst <= last and newFirstMs < now - maxAgeMs
  if not isOld and not (dropsOldest and isOver()) then break end
  if newFirst <= last then
    bytes = bytes - tonumber(match(headerAt(newFirst), '^%d+!(%d+)'))
  else
    bytes = bytes - sizes[fresh[newFirst - last]]
  end
  newFirst = newFirst + 1
  newFirstMs = newFirst <= last and tonumber(match(headerAt(newFirst), '^%d+')) or createMs
end
local isFull = not dropsOldest and isOver()

-- Write. A stream that is full loses what is too old all the same, or it would stay full.
local function setFacts(...)
  call('HSET', KEYS[1], 'first', num(newFirst), 'firstMs', num(newFirstMs), ...)
end
if isFull then
  if newFirst > first then
    call('XTRIM', KEYS[2], 'MINID', num(newFirst))
    setFacts('bytes', num(bytes - freshBytes))
  end
  return { 'full' }
end
local again, forget = {}, {}
for i = 1, #remembered, 2 do again[remembered[i]] = true end
for _, id in ipairs(forgotten) do
  if not again[id] then forget[#forget + 1] = id end
end
callMany('HDEL', KEYS[4], forget)
callMany('ZREM', KEYS[5], forget)
callMany('HSET', KEYS[4], remembered)
callMany('ZADD', KEYS[5], times)
local head = num(createMs) .. '!'
for i, at in ipairs(fresh) do
  local body = sub(ARGV[7], bodyEnds[at - 1] + 1, bodyEnds[at])
  call('XADD', KEYS[2], num(last + i) .. '-0', 'h', head .. headers[at], 'b', body)
end
if newFirst > first then call('XTRIM', KEYS[2], 'MINID', num(newFirst)) end
if last < first then newFirstMs = createMs end
setFacts('last', num(newLast), 'lastMs', num(createMs), 'bytes', num(bytes))
wake()
return { 'written', answer }
