-- Take entries whose relay time has come; the claim lapses, so a dead relay loses nothing and two do not collide.
-- KEYS: 1 outbox times  2 outbox entries  3 outbox away
-- ARGV: 1 now  2 entries at most  3 claim ms
-- Returns: {entry text, ...}
--@include clock
local now = clock(ARGV[1])
local found = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[2])) do
  local text = redis.call('HGET', KEYS[2], id)
  redis.call('ZREM', KEYS[3], id)
  if text then
    redis.call('ZADD', KEYS[1], now + tonumber(ARGV[3]), id)
    found[#found + 1] = text
  else
    redis.call('ZREM', KEYS[1], id)
  end
end
return found
