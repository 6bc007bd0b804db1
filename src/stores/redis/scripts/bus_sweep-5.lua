#!lua flags=allow-oom
--[[
  Lets go of what a stream keeps no longer: events that are too old, ids whose window is over. Writes do
  the same on their way; this is for streams that nobody writes to.

  Guarantee: one atomic step of bounded size. Allowed when Redis is out of memory, since it only gives back.

  KEYS[1]  facts   KEYS[2]  log   KEYS[3]  the flag of those who wait
  KEYS[4]  remembered ids   KEYS[5]  when each was written
  ARGV[1]  the channel that wakes

  Returns { 'UNKNOWN' | 'GONE' }, or { 'swept', '1' if there may be more to let go }.
]]
--- include limits
--- include bus_stream
local kept = call('HMGET', KEYS[1], 'firstMs', 'dedupe')
local oldestMs, more = now - tonumber(stream[5]), '0'

local newFirst, newFirstMs, bytes = first, kept[1], tonumber(stream[4])
if first <= last and tonumber(kept[1]) < oldestMs then
  local entries = entriesFrom(first, MAX_TRIM_EVENTS + 1)
  for i = 1, #entries do
    local createMs, size = match(entries[i][2][2], '^(%d+)!(%d+)')
    newFirst, newFirstMs = first + i - 1, createMs
    if tonumber(createMs) >= oldestMs then break end
    if i > MAX_TRIM_EVENTS then
      more = '1'
      break
    end
    bytes = bytes - size
    if i == #entries then newFirst = last + 1 end
  end
end
local forgotten = call('ZRANGEBYSCORE', KEYS[5], '-inf', num(now - kept[2]), 'LIMIT', 0, MAX_TRIM_EVENTS)
if #forgotten == MAX_TRIM_EVENTS then more = '1' end

-- Write.
if newFirst > first then
  call('XTRIM', KEYS[2], 'MINID', num(newFirst))
  call('HSET', KEYS[1], 'first', num(newFirst), 'firstMs', newFirstMs, 'bytes', num(bytes))
end
if #forgotten > 0 then
  call('HDEL', KEYS[4], unpack(forgotten))
  call('ZREM', KEYS[5], unpack(forgotten))
end
return { 'swept', more }
