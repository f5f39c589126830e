-- Add a waiter and match it with the early events, in one script: an event between the two would be lost.
-- KEYS: 1 events  2 event times  3 waiters  4 deliveries  5 past waiters
-- ARGV: 1 now  2 identity  3 waiter  4 until (unix ms; 0 = no time-out)  5 ms that an event is early for  6 ms that a wait lasts at most
--       7 waiters at most  8 ms until a relay delivers
-- Returns: {0 OK, {delivery, event text, ...} (those not done)} | {1 GONE} (left before, or its time is over) | {2 FULL}
-- Every pair of a waiter and an event becomes a delivery once: here for what is there, in event_publish for what comes.
--@include clock
--@include delivery
local now = clock(ARGV[1])
local gone = redis.call('ZSCORE', KEYS[5], ARGV[3])
if gone and tonumber(gone) > now then return {1} end
prune(KEYS[3], now)
local last = now + tonumber(ARGV[6])
local until_ms = tonumber(ARGV[4]) > 0 and math.min(tonumber(ARGV[4]), last) or last
if until_ms <= now then return {1} end
local early = redis.call('ZRANGEBYSCORE', KEYS[2], '(' .. (now - tonumber(ARGV[5])), '+inf')
if not redis.call('ZSCORE', KEYS[3], ARGV[3]) then
  if redis.call('ZCARD', KEYS[3]) >= tonumber(ARGV[7]) then return {2} end
  redis.call('ZADD', KEYS[3], until_ms, ARGV[3])
  local longest = redis.call('ZRANGE', KEYS[3], -1, -1, 'WITHSCORES')[2]
  redis.call('PEXPIRE', KEYS[3], string.format('%.0f', tonumber(longest) - now + 60000))
  for _, id in ipairs(early) do
    redis.call('ZADD', KEYS[4], now + tonumber(ARGV[8]), mark(ARGV[2], ARGV[3], id))
  end
end
local found = {}
for _, id in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1)) do
  local one = mark(ARGV[2], ARGV[3], id)
  if redis.call('ZSCORE', KEYS[4], one) then
    found[#found + 1] = one
    found[#found + 1] = redis.call('HGET', KEYS[1], id)
  end
end
return {0, found}
