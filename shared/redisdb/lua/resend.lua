-- Wake an overdue execution once more. Atomic, so that two watchdogs cannot both do it.
-- KEYS: 1 record  2 due  3 outbox times  4 outbox entries
-- ARGV: 1 now  2 execution id  3 base ms  4 most ms  5 nonce  6 terminal statuses  7 '1' if the first try is a direct call, which costs nothing
--       8 ms behind its due time from which on it is overdue: a backlog is not a loss
-- Returns: {0 SENT, entry, tries} | {1 NOT_DUE} | {2 HELD} | {3 GONE}
-- The entry is the one that waits in the outbox already, if there is one: it is brought forward, and none is added to it.
--@include clock
--@include pay
--@include outbox
local now = clock(ARGV[1])
local at = redis.call('ZSCORE', KEYS[2], ARGV[2])
local r = redis.call('HMGET', KEYS[1], 'status', 'lease_until', 'segment', 'tries', 'trace', 'queued')
if not at then return {3} end
if not r[1] or string.find(ARGV[6], ',' .. r[1] .. ',', 1, true) then
  redis.call('ZREM', KEYS[2], ARGV[2])
  return {3}
end
if tonumber(at) + tonumber(ARGV[8]) > now then return {1} end
if tonumber(r[2] or '0') > now then return {2} end
local segment, tries = tonumber(r[3]), tonumber(r[4] or '0')
redis.call('HINCRBY', KEYS[1], 'epoch', 1)
redis.call('HSET', KEYS[1], 'tries', tries + 1)
redis.call('ZADD', KEYS[2], now + math.min(tonumber(ARGV[4]), tonumber(ARGV[3]) * 2 ^ tries), ARGV[2])
local text = r[6] and redis.call('HGET', KEYS[4], r[6])
if text then
  local waiting = cjson.decode(text)
  if waiting.cost == 0 then -- a direct call that came to nothing: a message may take its place
    redis.call('ZREM', KEYS[3], r[6])
    redis.call('HDEL', KEYS[4], r[6])
  elseif waiting.segment == segment and (waiting.not_before_ms or 0) <= now then
    redis.call('ZADD', KEYS[3], 'LT', now + 2000, r[6])
    return {0, text, tries + 1}
  end
end
local message = {execution = ARGV[2], segment = segment, nonce = ARGV[5], reason = 'overdue', trace = r[5] or '',
  cost = ARGV[7] == '1' and tries == 0 and 0 or nil}
return {0, enqueue(KEYS[1], KEYS[3], KEYS[4], now, message), tries + 1}
