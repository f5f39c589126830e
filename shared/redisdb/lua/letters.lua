-- The signals behind position `seen`, oldest first, as flat (position, text) pairs.
local function letters(inbox, seen, last)
  local found = {}
  for position = seen + 1, last do
    local text = redis.call('HGET', inbox, position)
    if text then
      found[#found + 1] = position
      found[#found + 1] = text
    end
  end
  return found
end
