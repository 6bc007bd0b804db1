#!lua flags=no-writes
--[[
  Finds the first sequence kept that was written at or after a time, by halving.

  KEYS[1]  facts   KEYS[2]  log   KEYS[3]  the flag of those who wait
  ARGV[1]  the channel that wakes
  ARGV[2]  the time, ms

  Returns { 'UNKNOWN' | 'GONE' } or { 'seq', the sequence }.
]]
--- include limits
--- include bus_stream
--- include bus_time
return { 'seq', num(seqAt(tonumber(ARGV[2]))) }
