#!lua flags=no-writes
--[[
  Reads the outcome kept for an event: of one machine, or the newest of any machine in some shards.
  An outcome that is not final lapses ten minutes after it came about, whatever else its key holds.

  KEYS     the outcome key of the event in each shard asked (variable number of KEYS)
  ARGV[1]  the machine's id, or '' for any
  ARGV[2]  '1' = only applied events

  Returns { id, outcome }, or {} if there is none.
]]
local REFUSAL_RETENTION_MS = 600000

local time = redis.call('TIME')
local nowMs = time[1] * 1000 + math.floor(time[2] / 1000)
local newestMs, newestId, newest = -1, nil, nil

local function consider(id, outcome)
  local kind, ms = string.match(outcome, '^(.)![^!]*![^!]*!(%d+)')
  ms = tonumber(ms)
  if ARGV[2] == '1' and kind ~= 'A' then return end
  local lapsed = (kind == 'M' or kind == 'F') and ms + REFUSAL_RETENTION_MS <= nowMs
  if not lapsed and ms > newestMs then newestMs, newestId, newest = ms, id, outcome end
end

for i = 1, #KEYS do
  if ARGV[1] ~= '' then
    local outcome = redis.call('HGET', KEYS[i], ARGV[1])
    if outcome then consider(ARGV[1], outcome) end
  else
    local all = redis.call('HGETALL', KEYS[i])
    for j = 1, #all, 2 do consider(all[j], all[j + 1]) end
  end
end
if not newest then return {} end
return { newestId, newest }
