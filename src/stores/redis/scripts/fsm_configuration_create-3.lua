#!lua
--[[
  Stores a configuration under its name and version if there is none, as the newest of its name.

  Guarantee: one atomic step; of concurrent creators one wins, and a stored one never changes.

  KEYS[1]  all names
  KEYS[2]  the configurations of the name
  KEYS[3]  its versions in order of creation
  ARGV[1]  name
  ARGV[2]  version
  ARGV[3]  hash of the content
  ARGV[4]  the content

  Returns { 'created' | 'same' | 'differs', `createMs!hash!content` as stored }.
]]
local there = redis.call('HGET', KEYS[2], ARGV[2])
if there then
  local same = string.match(there, '^%d+!([^!]*)!') == ARGV[3]
  return { same and 'same' or 'differs', there }
end
local time = redis.call('TIME')
local now = time[1] .. string.sub('00000' .. time[2], -6, -4)
local stored = now .. '!' .. ARGV[3] .. '!' .. ARGV[4]
redis.call('HSET', KEYS[2], ARGV[2], stored)
redis.call('RPUSH', KEYS[3], ARGV[2])
redis.call('ZADD', KEYS[1], 0, ARGV[1])
return { 'created', stored }
