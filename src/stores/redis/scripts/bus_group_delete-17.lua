#!lua flags=allow-oom
--[[
  Deletes a group with all it keeps. O(1) for the caller: Redis frees the keys in the background.

  KEYS[1..17] as in include/bus_group.lua
  ARGV[1]  the channel that wakes
  ARGV[2]  the group

  Returns { 'UNKNOWN' | 'GONE' | 'deleted' | 'absent' }.
]]
--- include limits
--- include bus_stream
if call('ZREM', KEYS[4], ARGV[2]) == 0 then return { 'absent' } end
call('UNLINK', unpack(KEYS, 5, 17))
wake()
return { 'deleted' }
