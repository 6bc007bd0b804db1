#!lua
--[[
  Changes a group's settings.

  KEYS[1]  facts   KEYS[2]  log   KEYS[3]  the flag of those who wait   KEYS[4]  groups   KEYS[5]  the group
  ARGV[1]  the channel that wakes
  ARGV[2]  the group
  ARGV[3]  settings
  ARGV[4]  the revision that it must have, or ''

  Returns { 'UNKNOWN' | 'GONE' | 'NO_GROUP' }, or { 'updated' | 'revision_mismatch', settings, filter,
  revision, generation, created ms, request }.
]]
--- include limits
--- include bus_stream
local function answer(kind)
  return { kind, unpack(call('HMGET', KEYS[5], 'settings', 'filter', 'revision', 'generation', 'created', 'request')) }
end
local revision = call('HGET', KEYS[5], 'revision')
if not revision then return { 'NO_GROUP' } end
if ARGV[4] ~= '' and ARGV[4] ~= revision then return answer('revision_mismatch') end
call('HSET', KEYS[5], 'settings', ARGV[3], 'revision', num(revision + 1))
return answer('updated')
