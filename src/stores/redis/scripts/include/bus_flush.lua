-- What the rules decided, written in a few commands whatever the number of rows; then those are woken for
-- whom something has come true.
local function deathMember(id, letter) return letter.number .. '!' .. id .. '!' .. num(letter.deadMs) end

-- Writes dead letters, and drops the oldest beyond their number and age.
local function flushLetters()
  local members, dead, fields = {}, {}, {}
  for id, letter in pairs(buried) do
    members[#members + 1] = deathMember(id, letter)
    if not born[id] then
      dead[#dead + 1] = id
      fields[#fields + 1] = id
      fields[#fields + 1] = 'b' .. id
    end
  end
  callMany('ZREM', KEYS[15], members)
  callMany('ZREM', KEYS[16], dead)
  callMany('HDEL', KEYS[17], fields)
  local anyBorn = false
  for id, letter in pairs(born) do
    anyBorn = true
    call('ZADD', KEYS[15], 0, deathMember(id, letter))
    call('ZADD', KEYS[16], 0, id)
    local text = letter.attempts .. '!' .. num(letter.deadMs) .. '!' .. letter.number .. '!' .. letter.header
    call('HSET', KEYS[17], id, text, 'b' .. id, letter.body)
  end
  local over = anyBorn and call('ZCARD', KEYS[15]) - MAX_DEAD_LETTERS or 0
  local oldest = call('ZRANGE', KEYS[15], 0, max(over, 1) - 1)
  local oldestMs = oldest[1] and tonumber(match(oldest[1], '(%d+)$')) or now
  local keptFromMs = now - tonumber(stream[5])
  if oldestMs < keptFromMs then oldest = call('ZRANGE', KEYS[15], 0, max(over, 100) - 1) end
  for i, member in ipairs(oldest) do
    if i > over and tonumber(match(member, '(%d+)$')) >= keptFromMs then break end
    local id = match(member, '^%d+!(%d+)')
    call('ZREM', KEYS[15], member)
    call('ZREM', KEYS[16], id)
    call('HDEL', KEYS[17], id, 'b' .. id)
    if tonumber(id) >= group.cursor then call('ZADD', KEYS[7], 0, 'X' .. id) end
    group.dropped = group.dropped + 1
  end
end

local function add(list, a, b)
  list[#list + 1] = a
  if b then list[#list + 1] = b end
end

local function flushRows()
  local set, dropped, placed, unplaced = direct.set, direct.dropped, direct.placed, direct.unplaced
  local deadlines, noDeadlines, due, notDue, lines, noLines = direct.deadlines, direct.noDeadlines, {}, {}, {}, {}
  for id in pairs(changed) do
    local old, new = before[id], rows[id]
    local from, to = old and old.state, new and new.state
    if new then
      add(set, id, to .. '!' .. num(new.attempts) .. '!' .. num(new.bytes) .. '!' .. new.key .. '!'
        .. num(new.due) .. '!' .. new.more)
    elseif old then
      add(dropped, id)
    end
    if from ~= to then
      if from then add(unplaced, from .. id) end
      if to then add(placed, '0', to .. id) end
    end
    if from == 'L' and to ~= 'L' then add(noDeadlines, id) end
    if to == 'L' then add(deadlines, num(new.due), id) end
    local wasDue, isDue = from == 'R' or from == 'Y', to == 'R' or to == 'Y'
    if wasDue and not isDue then add(notDue, id) end
    if isDue then add(due, num(new.due), id) end
    if from == 'W' and not (to == 'W' and new.due == old.due) then add(noLines, memberOf(id, old)) end
    if to == 'W' and not (from == 'W' and new.due == old.due) then add(lines, '0', memberOf(id, new)) end
  end
  for id, is in pairs(exceptions) do
    if is ~= exceptionsBefore[id] then
      if is then add(placed, '0', 'X' .. id) else add(unplaced, 'X' .. id) end
    end
  end
  if caughtUpFrom then call('ZREMRANGEBYLEX', KEYS[7], '[X' .. caughtUpFrom, '(X' .. idOf(first)) end
  callMany('HDEL', KEYS[6], dropped)
  if #dropped > 0 and call('EXISTS', KEYS[14]) == 1 then
    for i = 1, #dropped do add(dropped, 'b' .. dropped[i]) end
    callMany('HDEL', KEYS[14], dropped)
  end
  callMany('HSET', KEYS[6], set)
  callMany('ZREM', KEYS[7], unplaced)
  callMany('ZADD', KEYS[7], placed)
  callMany('ZREM', KEYS[8], noDeadlines)
  callMany('ZADD', KEYS[8], deadlines)
  callMany('ZREM', KEYS[9], notDue)
  callMany('ZADD', KEYS[9], due)
  callMany('ZREM', KEYS[10], noLines)
  callMany('ZADD', KEYS[10], lines)
  for id, copy in pairs(copied) do call('HSET', KEYS[14], id, copy.header, 'b' .. id, copy.body) end
end

local function flushHolders()
  local set, free = {}, {}
  for key, id in pairs(holders) do
    if id ~= holdersBefore[key] then
      if id then add(set, key, id) else add(free, key) end
    end
  end
  callMany('HSET', KEYS[11], set)
  callMany('HDEL', KEYS[11], free)
end

local function flushLeases()
  for number, lease in pairs(leases) do
    if lease and lease.isChanged then
      if lease.left > 0 then
        call('HSET', KEYS[13], number, num(lease.left) .. '!' .. lease.consumer .. '!' .. lease.runs)
      elseif not lease.isNew then
        call('HDEL', KEYS[13], number)
      end
    end
  end
  for name, consumer in pairs(consumers) do
    if consumer.isChanged then
      if consumer.count > 0 then
        call('HSET', KEYS[12], name, num(consumer.count) .. '!' .. num(consumer.bytes) .. '!'
          .. consumer.claimId .. '!' .. consumer.lease)
      elseif consumer.isKept then
        call('HDEL', KEYS[12], name)
      end
    end
  end
end

local function flushGroup()
  local set = {}
  if isNew then
    call('ZADD', KEYS[4], 0, ARGV[2])
    for _, fact in ipairs({ 'settings', settings, 'filter', '', 'revision', '1', 'generation', '1',
      'created', num(now), 'request', '!' }) do set[#set + 1] = fact end
  end
  for _, name in ipairs(FACTS) do
    local value = group[name]
    if name ~= 'blocked' then value = num(value) end
    if value ~= groupBefore[name] then add(set, name, value) end
  end
  callMany('HSET', KEYS[5], set)
end

-- Writes what the rules decided, and wakes those for whom something has come true.
local function flush()
  flushRows()
  flushHolders()
  flushLeases()
  flushLetters()
  flushGroup()
  if isDeliverable then
    wake()
  elseif isCreditFreed and call('GET', KEYS[3]) == 'c' then
    wake()
  end
end
