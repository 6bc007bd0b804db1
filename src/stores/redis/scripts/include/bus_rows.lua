-- Rows, by id; false = none. A row is never changed, it is replaced: { state, attempts, bytes, key, due, more }.
-- state L leased, R retry, Y ready, W waiting; due is the deadline, the due time or the place in the line;
-- more is the lease, or since when it is to be retried.
local rows, before, changed = {}, {}, {}

local function parseRow(text)
  if not text then return false end
  local state, attempts, bytes, key, due, more = match(text, '^(.)!(%d+)!(%d+)!([^!]*)!(%d+)!(%d*)$')
  return { state = state, attempts = tonumber(attempts), bytes = tonumber(bytes), key = key,
    due = tonumber(due), more = more }
end

local function loadRows(ids)
  if #ids == 0 then return end
  local texts = readMany('HMGET', KEYS[6], ids)
  for i, id in ipairs(ids) do
    if before[id] == nil then
      before[id] = parseRow(texts[i])
      rows[id] = before[id]
    end
  end
end

local function rowOf(id)
  if rows[id] == nil then loadRows({ id }) end
  return rows[id]
end

local function put(id, state, attempts, bytes, key, due, more)
  rowOf(id)
  rows[id] = { state = state, attempts = attempts, bytes = bytes, key = key, due = due, more = more or '' }
  changed[id] = true
end

-- The event behind a row: the log's entry, or the copy that a replayed dead letter left.
local function eventOf(id)
  local seq = tonumber(id)
  if seq >= first and seq <= last then
    local entry = entriesFrom(seq, 1)[1]
    return entry[2][2], entry[2][4]
  end
  local copy = call('HMGET', KEYS[14], id, 'b' .. id)
  return copy[1], copy[2]
end

-- `size, key` of a header `createMs!size!key!...`.
local function sizeAndKey(header)
  local size, key = match(header, '^%d+!(%d+)!([^!]*)')
  return tonumber(size), key
end

-- Rows that a script takes or makes by itself, as many as a call may bring: what `flush` writes of them, without
-- the tables of `rows`. Removals come before what is set.
local direct = { set = {}, dropped = {}, placed = {}, unplaced = {}, deadlines = {}, noDeadlines = {} }

-- Copies of events that dead letters leave when they become rows again, by id, for flush.
local copied = {}
