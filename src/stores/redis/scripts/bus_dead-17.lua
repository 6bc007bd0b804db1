#!lua flags=allow-oom
--[[
  One step of replaying or purging dead letters of a group, oldest death first.

  Guarantee: one atomic step, of MAX_DEAD_STEP letters or 4 MiB of them. Allowed when Redis is out of memory:
  purging makes room, and replaying moves what is there.

  KEYS     as in include/bus_group.lua
  ARGV[1]  the channel that wakes
  ARGV[2]  the group
  ARGV[3]  ''
  ARGV[4]  'replay' or 'purge'
  ARGV[5]  'all' or 'some'
  ARGV[6]  all: the number of the death after which, or ''; some: the first sequence
  ARGV[7..] some: the others

  Returns { 'UNKNOWN' | 'GONE' | 'NO_GROUP' }, or { 'step', how many, the death to go on after or '' }.
]]
--- include limits
--- include bus_stream
--- include bus_group
local MAX_DEAD_STEP, MAX_STEP_BYTES = 256, 4194304
local ids, numbers = {}, {}
if ARGV[5] == 'some' then
  for i = 6, #ARGV do ids[#ids + 1] = idOf(tonumber(ARGV[i])) end
else
  local after = ARGV[6] == '' and '-' or '(' .. ARGV[6] .. '!~'
  for i, member in ipairs(call('ZRANGEBYLEX', KEYS[15], after, '+', 'LIMIT', 0, MAX_DEAD_STEP + 1)) do
    numbers[i], ids[i] = match(member, '^(%d+)!(%d+)')
  end
end
loadLetters(ids)

local count, bytes, nextAfter = 0, 0, ''
for i, id in ipairs(ids) do
  local letter = letterOf(id)
  if letter then
    local size = sizeAndKey(letter.header)
    if ARGV[5] == 'all' and i > 1 and (i > MAX_DEAD_STEP or bytes + size > MAX_STEP_BYTES) then
      nextAfter = numbers[i - 1]
      break
    end
    if ARGV[4] == 'purge' then bury(id) else revive(id) end
    count, bytes = count + 1, bytes + size
  end
end
flush()
return { 'step', num(count), nextAfter }
