-- Count what an execution has used. Is it over, its reserve shrinks to what its last messages may still cost, and then goes.
-- KEYS: 1 sums  2 accounts  3 tails  4 looks
-- ARGV: 1 now  2 day's offset ms  3 execution id  4 live | over | gone (it never came to be)  5 ver of its record  6 units used so far
--       7 units that its messages may still cost  8 when the latest of them was to be delivered, unix ms
--       9 how long after that something may come of it, ms  10 ms until the next look (live)
-- Returns: {code, now, spent of the day, spent of the month, reserved, running, waiting}
--   code: 0 SETTLED | 1 ABSENT (settled long ago, or nobody counts it) | 2 OLD (somebody knows more of it)
--@include clock
--@include ledger
local now, id = clock(ARGV[1]), ARGV[3]
open(now, ARGV[2])
local one = account(id)
if not one then return answer(1, now) end
if ARGV[4] == 'gone' then
  put(id, nil)
  return answer(0, now)
end
local ver, held = tonumber(ARGV[5]), tonumber(ARGV[7])
if ver < one.ver then return answer(2, now) end
charge(one, tonumber(ARGV[6]))
one.ver = ver
if ARGV[4] == 'live' then
  redis.call('ZREM', tails, id)
  redis.call('ZADD', looks, now + tonumber(ARGV[10]), id)
  put(id, one)
  return answer(0, now)
end
one.granted, one.asked = math.min(one.granted, one.charged + held), 0
if one.granted == one.charged then
  put(id, nil)
else
  put(id, one)
  redis.call('ZREM', looks, id)
  redis.call('ZADD', tails, 'NX', math.max(now, tonumber(ARGV[8])) + tonumber(ARGV[9]), id)
end
return answer(0, now)
