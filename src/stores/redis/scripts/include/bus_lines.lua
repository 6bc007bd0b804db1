-- Which row holds a key busy; false = none.
local holders, holdersBefore = {}, {}
local function loadHolders(keys)
  if #keys == 0 then return end
  local found = readMany('HMGET', KEYS[11], keys)
  for i, key in ipairs(keys) do
    if holders[key] == nil then holders[key], holdersBefore[key] = found[i], found[i] end
  end
end
local function holderOf(key)
  if holders[key] == nil then loadHolders({ key }) end
  return holders[key]
end
local function hold(key, id)
  if key == '' then return end
  holderOf(key)
  holders[key] = id
end

-- The lines of busy keys: members `key!place!id`. Front places are below the back ones.
local MIDDLE = 5000000000000000
local joined, left, leftCount = {}, {}, {}
local waitingCount
local function memberOf(id, row) return row.key .. '!' .. idOf(row.due) .. '!' .. id end
local function waiting()
  waitingCount = waitingCount or call('ZCARD', KEYS[10])
  return waitingCount
end
local function joinLine(id, attempts, bytes, key, atFront)
  waiting()
  waitingCount = waitingCount + 1
  group.place = group.place + 1
  put(id, 'W', attempts, bytes, key, atFront and MIDDLE - group.place or MIDDLE + group.place)
  joined[key] = joined[key] or {}
  joined[key][#joined[key] + 1] = { place = rows[id].due, id = id }
end
local function leaveLine(id, row)
  waiting()
  waitingCount = waitingCount - 1
  left[memberOf(id, row)] = true
  leftCount[row.key] = (leftCount[row.key] or 0) + 1
end
local function firstInLine(key)
  if waiting() == 0 then return end
  local count = (leftCount[key] or 0) + 1
  local there = call('ZRANGEBYLEX', KEYS[10], '[' .. key .. '!', '(' .. key .. '!:', 'LIMIT', 0, count)
  local best, bestPlace
  for _, member in ipairs(there) do
    if not left[member] then best, bestPlace = sub(member, -16), tonumber(sub(member, -33, -18)) break end
  end
  for _, each in ipairs(joined[key] or {}) do
    if not left[key .. '!' .. idOf(each.place) .. '!' .. each.id] and (not best or each.place < bestPlace) then
      best, bestPlace = each.id, each.place
    end
  end
  return best
end

-- A row becomes ready, due now.
local function makeReady(id, attempts, bytes, key)
  put(id, 'Y', attempts, bytes, key, now)
  hold(key, id)
  isDeliverable = true
end

-- The key of a row that goes: its line moves up.
local function freeKey(id, key)
  if key == '' or holderOf(key) ~= id then return end
  holders[key] = false
  local nextId = firstInLine(key)
  if not nextId then return end
  local row = rowOf(nextId)
  leaveLine(nextId, row)
  makeReady(nextId, row.attempts, row.bytes, key)
end
