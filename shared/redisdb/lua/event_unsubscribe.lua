-- A waiter leaves, with what was not delivered to it. A subscription of it that comes late (the relay's repeat) is refused.
-- KEYS: 1 event times  2 waiters  3 deliveries  4 past waiters
-- ARGV: 1 now  2 identity  3 waiter  4 ms that it stays away (0 = it may come again)
-- Returns: {0 OK}
--@include clock
--@include delivery
local now = clock(ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[3])
for _, id in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  redis.call('ZREM', KEYS[3], mark(ARGV[2], ARGV[3], id))
end
redis.call('ZREMRANGEBYSCORE', KEYS[4], '-inf', now)
if tonumber(ARGV[4]) > 0 then
  redis.call('ZADD', KEYS[4], now + tonumber(ARGV[4]), ARGV[3])
  redis.call('PEXPIRE', KEYS[4], ARGV[4])
end
return {0}
