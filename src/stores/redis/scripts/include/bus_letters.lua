-- Dead letters, by id: what is kept of one, or false. `born` and `buried` by id, for flush.
local letters, born, buried = {}, {}, {}
local function parseLetter(text)
  if not text then return false end
  local attempts, deadMs, number, header = match(text, '^(%d+)!(%d+)!(%d+)!(.*)$')
  return { attempts = attempts, deadMs = tonumber(deadMs), number = number, header = header }
end
local function loadLetters(ids)
  if #ids == 0 then return end
  local texts = readMany('HMGET', KEYS[17], ids)
  for i, id in ipairs(ids) do
    if letters[id] == nil then letters[id] = parseLetter(texts[i]) end
  end
end
local function letterOf(id)
  if letters[id] == nil then loadLetters({ id }) end
  return letters[id]
end
-- A row becomes a dead letter, with a copy of its event; without one it is lost and counted.
local function die(id)
  local row = rowOf(id)
  local header, body = eventOf(id)
  dropRow(id)
  if not header then
    group.trimmed = group.trimmed + 1
    return
  end
  if letterOf(id) then buried[id] = buried[id] or letters[id] end
  group.deaths = group.deaths + 1
  letters[id] = { attempts = num(row.attempts), deadMs = now, number = idOf(group.deaths), header = header,
    body = body }
  born[id] = letters[id]
  -- Of what is dealt with from the cursor on, dead letters are no exceptions.
  if tonumber(id) >= group.cursor then unexcept(id) end
end
-- A dead letter goes; at or after the cursor it stays dealt with.
local function bury(id)
  if born[id] then born[id] = nil else buried[id] = letterOf(id) end
  letters[id] = false
  if tonumber(id) >= group.cursor and not isException(id) then
    exceptions[id] = true
    if exceptionCount then exceptionCount = exceptionCount + 1 end
  end
end
-- A dead letter becomes ready, or first in its key's line.
local function revive(id)
  local letter = letterOf(id)
  if born[id] then
    copied[id] = { header = letter.header, body = letter.body }
  else
    copied[id] = { header = letter.header, body = call('HGET', KEYS[17], 'b' .. id) }
  end
  bury(id)
  local size, key = sizeAndKey(letter.header)
  if key ~= '' and holderOf(key) then joinLine(id, 0, size, key, true) else makeReady(id, 0, size, key) end
end
