#!lua
--[[
  Changes a stream's settings in the registry.

  KEYS[1]  streams
  ARGV[1]  name
  ARGV[2]  settings, 5 tokens
  ARGV[3]  the revision that it must have, or ''

  Returns { 'stream_not_found' } or { 'updated' | 'revision_mismatch', the stream's record }.
]]
local record = redis.call('HGET', KEYS[1], ARGV[1])
if not record or string.match(record, '!D$') then return { 'stream_not_found' } end
local head, revision, created, rest =
  string.match(record, '^(%d+![^!]*)!(%d+)!(%d+)![^!]*![^!]*![^!]*![^!]*![^!]*(!.*)$')
if ARGV[3] ~= '' and ARGV[3] ~= revision then return { 'revision_mismatch', record } end
record = table.concat({ head, string.format('%.0f', revision + 1), created, ARGV[2] }, '!') .. rest
redis.call('HSET', KEYS[1], ARGV[1], record)
return { 'updated', record }
