-- Exceptions: sequences at or after the cursor that are dealt with. `exceptionsBefore` as read.
local exceptions, exceptionsBefore, exceptionCount = {}, {}, nil
local function loadExceptions(ids)
  if #ids == 0 then return end
  local members = {}
  for i, id in ipairs(ids) do members[i] = 'X' .. id end
  for i, score in ipairs(readMany('ZMSCORE', KEYS[7], members)) do
    local id = ids[i]
    if exceptions[id] == nil then exceptions[id], exceptionsBefore[id] = score ~= false, score ~= false end
  end
end
local function isException(id)
  if exceptions[id] == nil then loadExceptions({ id }) end
  return exceptions[id]
end
-- Marks an event at or after the cursor as dealt with; false = there is no room.
local function except(id)
  if tonumber(id) < group.cursor or isException(id) then return true end
  exceptionCount = exceptionCount or call('ZLEXCOUNT', KEYS[7], '[X', '(Y')
  if exceptionCount >= MAX_EXCEPTIONS then return false end
  exceptionCount = exceptionCount + 1
  exceptions[id] = true
  return true
end
local function unexcept(id)
  if not isException(id) then return false end
  exceptions[id] = false
  if exceptionCount then exceptionCount = exceptionCount - 1 end
  return true
end

-- Below the first sequence kept the cursor has nothing to look for. What lies between is counted, less what
-- was dealt with.
local caughtUpFrom
local function catchUp()
  if group.cursor >= first then return end
  local from, to = idOf(group.cursor), idOf(first)
  local excepted = call('ZLEXCOUNT', KEYS[7], '[X' .. from, '(X' .. to)
  local dead = call('ZLEXCOUNT', KEYS[16], '[' .. from, '(' .. to)
  group.trimmed = group.trimmed + first - group.cursor - excepted - dead
  if excepted > 0 then caughtUpFrom = from end
  group.cursor = first
end
