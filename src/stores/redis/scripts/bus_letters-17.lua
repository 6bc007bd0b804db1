#!lua flags=no-writes
--[[
  Reads a page of dead letters of a group, in order of death; those past their age are left out.

  KEYS     as in include/bus_group.lua
  ARGV[1]  the channel that wakes
  ARGV[2]  the group
  ARGV[3]  settings if a group that does not exist reads as new, or ''
  ARGV[4]  the number of the death after which, or ''
  ARGV[5]  letters at most

  Returns { 'UNKNOWN' | 'GONE' | 'NO_GROUP' }, or { 'page', the death to go on after or '', then for each
  letter `seq!attempts!deadMs!header` and body }.
]]
--- include limits
--- include bus_stream
--- include bus_group
local MAX_PAGE_BYTES = 4194304
local limit, bytes = tonumber(ARGV[5]), 0
local after = ARGV[4] == '' and '-' or '(' .. ARGV[4] .. '!~'
local members = call('ZRANGEBYLEX', KEYS[15], after, '+', 'LIMIT', 0, limit + 1)
local reply, number = { 'page', '' }, ''
for i, member in ipairs(members) do
  local thisNumber, id, deadMs = match(member, '^(%d+)!(%d+)!(%d+)$')
  if i > limit then
    reply[2] = number
    break
  end
  if tonumber(deadMs) >= now - tonumber(stream[5]) then
    local letter = letterOf(id)
    local size = sizeAndKey(letter.header)
    if #reply > 2 and bytes + size > MAX_PAGE_BYTES then
      reply[2] = number
      break
    end
    bytes = bytes + size
    reply[#reply + 1] = num(tonumber(id)) .. '!' .. letter.attempts .. '!' .. deadMs .. '!' .. letter.header
    reply[#reply + 1] = call('HGET', KEYS[17], 'b' .. id)
  end
  number = thisNumber
end
return reply
