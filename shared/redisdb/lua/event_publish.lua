-- Store an event and find who waits for it: each of them gets a pending delivery by the same script, once for an event id.
-- KEYS: 1 events  2 event times  3 waiters  4 deliveries
-- ARGV: 1 now  2 identity  3 event id  4 event text  5 ms that it is early for  6 ms that its data is kept
--       7 early events at most  8 ms until a relay delivers
-- Returns: {0 OK, {delivery, ...} (those not done)} | {1 CONFLICT} (the id is another event's) | {2 FULL}
--@include clock
--@include delivery
local now = clock(ARGV[1])
local old = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now - tonumber(ARGV[6]))
for _, id in ipairs(old) do
  redis.call('HDEL', KEYS[1], id)
  redis.call('ZREM', KEYS[2], id)
end
prune(KEYS[3], now)
local known = redis.call('HGET', KEYS[1], ARGV[3])
if known and known ~= ARGV[4] then return {1} end
local marks = {}
for _, waiter in ipairs(redis.call('ZRANGE', KEYS[3], 0, -1)) do marks[#marks + 1] = mark(ARGV[2], waiter, ARGV[3]) end
if not known then
  if redis.call('ZCOUNT', KEYS[2], '(' .. (now - tonumber(ARGV[5])), '+inf') >= tonumber(ARGV[7]) then return {2} end
  redis.call('HSET', KEYS[1], ARGV[3], ARGV[4])
  redis.call('ZADD', KEYS[2], now, ARGV[3])
  redis.call('PEXPIRE', KEYS[1], ARGV[6])
  redis.call('PEXPIRE', KEYS[2], ARGV[6])
  for _, one in ipairs(marks) do redis.call('ZADD', KEYS[4], now + tonumber(ARGV[8]), one) end
end
return {0, open_marks(KEYS[4], marks)}
