-- Take a slot under a limit, or a place in the queue behind all who came before.
-- KEYS: 1 holders  2 queue  3 facts  4 sweep times  5 grants
-- ARGV: 1 now  2 identity  3 name of the limit  4 most  5 period ms (0 = at a time)  6 member  7 until (unix ms)
--       8 tenant  9 execution  10 step  11 ms that a grant is kept  12 ms until a relay tells
-- Returns: {0 TAKEN, until} | {1 QUEUED, position} | {2 LATE, now} (until is over: the call could not be made any more)
--@include clock
--@include slots
local now = clock(ARGV[1])
local member, period = ARGV[6], tonumber(ARGV[5])
local until_ms = period > 0 and now + period or tonumber(ARGV[7])
if until_ms <= now then return {2, now} end
free(KEYS[1], now)
if redis.call('ZCARD', KEYS[2]) > 0 then
  redis.call('HSET', KEYS[3], '=most', ARGV[4], '=name', ARGV[3])
  promote(KEYS[1], KEYS[2], KEYS[3], KEYS[5], now, ARGV[2], tonumber(ARGV[11]), tonumber(ARGV[12]))
end
local answer
-- What is free now nobody waits for: those who wait had it a line above.
if redis.call('ZSCORE', KEYS[1], member) or redis.call('ZCARD', KEYS[1]) < tonumber(ARGV[4]) then
  redis.call('ZADD', KEYS[1], until_ms, member)
  answer = {0, until_ms}
else
  if not redis.call('ZSCORE', KEYS[2], member) then
    local last = redis.call('ZRANGE', KEYS[2], -1, -1, 'WITHSCORES')[2]
    redis.call('ZADD', KEYS[2], tonumber(last or '0') + 1, member)
    redis.call('HSET', KEYS[3], '=most', ARGV[4], '=name', ARGV[3],
      'm:' .. member, cjson.encode({ARGV[8], ARGV[9], ARGV[10], ARGV[7]}))
  end
  answer = {1, redis.call('ZRANK', KEYS[2], member) + 1}
end
rearm(KEYS[1], KEYS[2], KEYS[3], KEYS[4], now, ARGV[2])
return answer
