-- Wake an overdue execution once more. Atomic, so that two watchdogs cannot both do it.
-- KEYS: 1 record  2 due  3 outbox times  4 outbox entries
-- ARGV: 1 now  2 execution id  3 base ms  4 most ms  5 nonce  6 terminal statuses  7 '1' if the first try is a direct call, which costs nothing
-- Returns: {0 SENT, entry, tries} | {1 NOT_DUE} | {2 HELD} | {3 GONE}
--@include clock
--@include pay
--@include outbox
local now = clock(ARGV[1])
local at = redis.call('ZSCORE', KEYS[2], ARGV[2])
local r = redis.call('HMGET', KEYS[1], 'status', 'lease_until', 'segment', 'tries', 'trace')
if not at then return {3} end
if not r[1] or string.find(ARGV[6], ',' .. r[1] .. ',', 1, true) then
  redis.call('ZREM', KEYS[2], ARGV[2])
  return {3}
end
if tonumber(at) > now then return {1} end
if tonumber(r[2] or '0') > now then return {2} end
local tries = tonumber(r[4] or '0')
redis.call('HINCRBY', KEYS[1], 'epoch', 1)
redis.call('HSET', KEYS[1], 'tries', tries + 1)
redis.call('ZADD', KEYS[2], now + math.min(tonumber(ARGV[4]), tonumber(ARGV[3]) * 2 ^ tries), ARGV[2])
local message = {execution = ARGV[2], segment = tonumber(r[3]), nonce = ARGV[5], reason = 'overdue', trace = r[5] or '',
  cost = ARGV[7] == '1' and tries == 0 and 0 or nil}
return {0, enqueue(KEYS[1], KEYS[3], KEYS[4], now, message), tries + 1}
