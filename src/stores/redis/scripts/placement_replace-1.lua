#!lua
--[[
  Replaces the deployment record if it is what the caller read.

  KEYS[1]  the record
  ARGV[1]  '1' if the caller read one
  ARGV[2]  what it read, or ''
  ARGV[3]  the next record

  Returns 1 if it did, else 0.
]]
local there = redis.call('GET', KEYS[1])
local expected = ARGV[1] == '1' and ARGV[2] or false
if there ~= expected then return 0 end
redis.call('SET', KEYS[1], ARGV[3])
return 1
