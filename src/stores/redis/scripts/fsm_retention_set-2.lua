#!lua
--[[
  Sets how much history the machines of a name keep.

  Guarantee: one atomic step; the revision of the name rises by one, and so does the count of all
  changes, by which other processes see that theirs are old.

  KEYS[1]  all names
  KEYS[2]  the retention of every name
  ARGV[1]  name
  ARGV[2]  how many entries to keep, 0 = all
  ARGV[3]  the revision it must have, or ''

  Returns { 'configuration_not_found' }, or { 'set' | 'revision_mismatch', `revision!count` as stored }.
]]
if not redis.call('ZSCORE', KEYS[1], ARGV[1]) then return { 'configuration_not_found' } end
local stored = redis.call('HGET', KEYS[2], ARGV[1]) or '0!0'
local revision = string.match(stored, '^%d+')
if ARGV[3] ~= '' and ARGV[3] ~= revision then return { 'revision_mismatch', stored } end
stored = string.format('%.0f', revision + 1) .. '!' .. ARGV[2]
redis.call('HSET', KEYS[2], ARGV[1], stored)
redis.call('HINCRBY', KEYS[2], '!', 1)
return { 'set', stored }
