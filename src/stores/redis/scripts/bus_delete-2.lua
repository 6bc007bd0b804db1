#!lua flags=allow-oom
--[[
  Marks a stream as being deleted: it is found no more, but its name is not free before its content is gone.

  KEYS[1]  names   KEYS[2]  streams
  ARGV[1]  name
  ARGV[2]  the uid that it must have, or ''

  Returns { 'absent' }, { 'uid_mismatch', uid }, or { 'marked' | 'deleting', the stream's record }; deleting =
  an earlier call marked it and may not have come to its end.
]]
local record = redis.call('HGET', KEYS[2], ARGV[1])
if not record then return { 'absent' } end
if string.match(record, '!D$') then return { 'deleting', record } end
local uid = string.match(record, '^%d+!([^!]*)')
if ARGV[2] ~= '' and ARGV[2] ~= uid then return { 'uid_mismatch', uid } end
redis.call('HSET', KEYS[2], ARGV[1], string.sub(record, 1, -2) .. 'D')
redis.call('ZREM', KEYS[1], ARGV[1])
return { 'marked', record }
