#!lua flags=no-writes
--[[
  Reads a page of a machine's history, in either direction.

  Versions are implied: the last entry has the machine's version, and each one before it has one less.
  A page ends early at 4 MiB, with at least one entry.

  KEYS[1]  the machine
  KEYS[2]  its history
  ARGV[1]  the uid the position is of, or '' to start
  ARGV[2]  the version to start with
  ARGV[3]  '1' = newest first
  ARGV[4]  how many entries at most

  Returns { 'fsm_not_found' }, { 'expired' }, or { 'page', uid, version of the first entry, '1' if more
  is kept after the page, entry, ... }.
]]
local MAX_BYTES = 4194304
local CHUNK = 100

local record = redis.call('GET', KEYS[1])
if not record then return { 'fsm_not_found' } end
local version, uid = string.match(record, '^(%d+)![^!]*!%d+![^!]*!([^!]*)')
version = tonumber(version)
local length = redis.call('LLEN', KEYS[2])
local oldest = version - length + 1
local newestFirst, limit = ARGV[3] == '1', tonumber(ARGV[4])

local first = newestFirst and version or oldest
if ARGV[1] ~= '' then
  first = tonumber(ARGV[2])
  if ARGV[1] ~= uid or first < oldest then return { 'expired' } end
  if newestFirst and first > version then first = version end
end

local page = { 'page', uid, string.format('%.0f', first), '0' }
local available = newestFirst and first - oldest + 1 or version - first + 1
local wanted, bytes, taken = math.min(limit, available), 0, 0
while taken < wanted and bytes < MAX_BYTES do
  local size = math.min(CHUNK, wanted - taken)
  local from = newestFirst and first - taken - size + 1 or first + taken
  local chunk = redis.call('LRANGE', KEYS[2], from - oldest, from - oldest + size - 1)
  for i = 1, size do
    local entry = chunk[newestFirst and size - i + 1 or i]
    bytes = bytes + #entry
    taken = taken + 1
    page[#page + 1] = entry
    if bytes >= MAX_BYTES then break end
  end
end
if taken < available then page[4] = '1' end
return page
