-- Every script on a stream begins here: the clock, the stream's facts, and how to wake. Answers
-- { 'UNKNOWN' } if the caller must first tell of the stream, { 'GONE' } if it is deleted.
-- KEYS[1] facts, KEYS[2] log, KEYS[3] the flag of those who wait; ARGV[1] the channel that wakes.
local call, match, find, sub, format = redis.call, string.match, string.find, string.sub, string.format
local min, max, floor = math.min, math.max, math.floor
local time = call('TIME')
local now = time[1] * 1000 + floor(time[2] / 1000)
local stream = call('HMGET', KEYS[1], 'first', 'last', 'lease', 'bytes', 'maxAge', 'gone')
if not stream[1] then return { stream[6] and 'GONE' or 'UNKNOWN' } end
local first, last = tonumber(stream[1]), tonumber(stream[2])

-- Numbers as texts: the default would write 1e+15.
local function num(n) return format('%.0f', n) end
-- A sequence as the id of a row: of one width, so that ids sort as their numbers do.
local function idOf(seq) return format('%016.0f', seq) end

-- The id of an entry of the log, `SEQ-0`.
local function idOfEntry(entry)
  local seq = sub(entry[1], 1, -3)
  return sub('0000000000000000', #seq + 1) .. seq
end

-- A command with any number of values; what Lua can unpack is bounded.
local function callMany(name, key, values)
  for i = 1, #values, 1000 do call(name, key, unpack(values, i, min(i + 999, #values))) end
end

-- Entries of the log from a sequence on: { { id, { 'h', header, 'b', body } }, ... }.
local function entriesFrom(seq, count) return call('XRANGE', KEYS[2], num(seq), '+', 'COUNT', num(count)) end

-- How many entries to read at once for a budget of bytes: bodies are read whole.
local function chunkFor(bytes, most)
  local average = last >= first and tonumber(stream[4]) / (last - first + 1) or 1
  return max(1, min(most, floor(bytes / max(average, 1)) + 1))
end

-- Wakes all who wait; after whatever makes an event deliverable or due sooner.
local function wake()
  if call('DEL', KEYS[3]) == 1 then call('PUBLISH', ARGV[1], KEYS[3]) end
end

-- The flag says what is waited for: 'e' events, 'c' credit as well.
local function askToBeWoken(kind)
  if kind == 'e' and call('GET', KEYS[3]) == 'c' then kind = 'c' end
  call('SET', KEYS[3], kind, 'PX', FLAG_MS)
end
