-- Take entries that were put off because their channel was away, the longest waiting first: it is back, or these try whether it is.
-- KEYS: 1 outbox times  2 outbox entries  3 outbox away
-- ARGV: 1 now  2 entries at most  3 claim ms  4 how long ago they were put off at least, ms
-- Returns: {entry text, ...}
--@include clock
local now = clock(ARGV[1])
local found = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', now - tonumber(ARGV[4]), 'LIMIT', 0, ARGV[2])) do
  local text = redis.call('HGET', KEYS[2], id)
  redis.call('ZREM', KEYS[3], id)
  if text then
    redis.call('ZADD', KEYS[1], now + tonumber(ARGV[3]), id)
    found[#found + 1] = text
  end
end
return found
