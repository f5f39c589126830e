-- Put a dead letter into its tenant's list, or count it if it is there; the oldest leave when there are too many.
-- `text` is the letter with one mark, which names this death: the same mark again changes nothing, and false is answered.
-- A letter's time is later than all before it, so that a page can begin behind one.
local function bury(times, entries, now, text, most)
  local letter = cjson.decode(text)
  local mark, marks = letter.marks[1], {}
  letter.times, letter.first_ms = 0, now
  local known = redis.call('HGET', entries, letter.id)
  if known then
    local before = cjson.decode(known)
    marks, letter.times, letter.first_ms = before.marks, before.times, before.first_ms
  end
  for _, one in ipairs(marks) do
    if one == mark then return false end
  end
  marks[#marks + 1] = mark
  if #marks > 16 then table.remove(marks, 1) end
  local last = redis.call('ZREVRANGE', times, 0, 0, 'WITHSCORES')[2]
  letter.marks, letter.times, letter.at_ms = marks, letter.times + 1, math.max(now, tonumber(last or '0') + 1)
  redis.call('HSET', entries, letter.id, cjson.encode(letter))
  redis.call('ZADD', times, letter.at_ms, letter.id)
  local over = redis.call('ZCARD', times) - tonumber(most)
  if over > 0 then
    local oldest = redis.call('ZRANGE', times, 0, over - 1)
    redis.call('HDEL', entries, unpack(oldest))
    redis.call('ZREM', times, unpack(oldest))
  end
  return true
end
