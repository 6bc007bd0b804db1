-- The first sequence kept that was written at or after a time; last + 1 if there is none.
local function seqAt(timeMs)
  local low, high = first, last + 1
  while low < high do
    local middle = floor((low + high) / 2)
    local createdMs = tonumber(match(entriesFrom(middle, 1)[1][2][2], '^%d+'))
    if createdMs >= timeMs then high = middle else low = middle + 1 end
  end
  return low
end

-- The sequence of a position: kind and value. Nil = out of range.
local function seqOf(kind, value)
  if kind == 'beginning' then return first end
  if kind == 'end' then return last + 1 end
  if kind == 'time' then return seqAt(tonumber(value)) end
  local seq = tonumber(value)
  if seq >= first and seq <= last + 1 then return seq end
end
