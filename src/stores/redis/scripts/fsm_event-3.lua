#!lua flags=no-writes
--[[
  Reads the history entry of an applied event, while its outcome and the entry are kept and the machine
  is still the one that it was applied to.

  KEYS[1]  the machine
  KEYS[2]  its history
  KEYS[3]  the outcome of the event
  ARGV[1]  the machine's id

  Returns { version, entry }, or {}.
]]
local outcome = redis.call('HGET', KEYS[3], ARGV[1])
local record = redis.call('GET', KEYS[1])
if not outcome or not record then return {} end
local appliedTo, applied = string.match(outcome, '^A![^!]*!([^!]*)!%d+!(%d+)')
local version, uid = string.match(record, '^(%d+)![^!]*!%d+![^!]*!([^!]*)')
if appliedTo ~= uid then return {} end
local fromTheEnd = tonumber(version) - tonumber(applied) + 1
local entry = redis.call('LINDEX', KEYS[2], -fromTheEnd)
if not entry then return {} end
return { applied, entry }
