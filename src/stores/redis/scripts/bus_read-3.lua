#!lua flags=allow-oom
--[[
  Reads events from a sequence on; with `wake`, reaching the end asks to be woken in the same step. Allowed
  when Redis is out of memory: it writes one key of a few bytes.

  KEYS[1]  facts   KEYS[2]  log   KEYS[3]  the flag of those who wait
  ARGV[1]  the channel that wakes
  ARGV[2]  the sequence
  ARGV[3]  events at most   ARGV[4]  bytes at most, but one event at least
  ARGV[5]  '1' = wake

  Returns { 'UNKNOWN' | 'GONE' }, or { 'events', first, last, then for each `seq!header` and body }.
]]
--- include limits
--- include bus_stream
local limit, left = tonumber(ARGV[3]), tonumber(ARGV[4])
local reply, count, seq = { 'events', num(first), num(last) }, 0, max(first, tonumber(ARGV[2]))
local isCut = false
while seq <= last and count < limit and not isCut do
  for _, entry in ipairs(entriesFrom(seq, chunkFor(left, limit - count))) do
    local header = entry[2][2]
    local size = tonumber(match(header, '^%d+!(%d+)'))
    if count > 0 and size > left then isCut = true break end
    left = left - size
    count = count + 1
    reply[2 + count * 2] = num(seq) .. '!' .. header
    reply[3 + count * 2] = entry[2][4]
    seq = seq + 1
  end
end
if ARGV[5] == '1' and seq > last then askToBeWoken('e') end
return reply
