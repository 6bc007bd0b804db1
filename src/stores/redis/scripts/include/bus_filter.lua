-- Whether a group with a filter is given an event. A filter is `!type!type!|name=value!name=value`.
local wantedTypes, wantedAttributes = match(filter, '^(.*)|(.*)$')
local function isWanted(header)
  local eventType, attributes = match(header, '^%d+!%d+![^!]*!([^!]*)![^!]*![^!]*!(.*)$')
  if wantedTypes ~= '' and not find(wantedTypes, '!' .. eventType .. '!', 1, true) then return false end
  attributes = '!' .. attributes .. '!'
  for wanted in string.gmatch(wantedAttributes, '[^!]+') do
    if not find(attributes, '!' .. wanted .. '!', 1, true) then return false end
  end
  return true
end
