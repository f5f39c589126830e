-- Raise what an execution may cost altogether. What there is no room for is noted, and new work does not get it.
-- The record learns of it afterwards, so that it never has more than is reserved here.
-- KEYS: 1 sums  2 accounts  3 tails  4 looks
-- ARGV: 1 now  2 day's offset ms  3 execution id  4 ver of its record  5 units used so far  6 units wanted altogether
--       7 day limit  8 month limit (0 = no limit)  9 ms until the look
-- Returns: {code, now, spent of the day, spent of the month, reserved, running, waiting}
--   code: 0 GRANTED | 1 DAY is full | 2 MONTH | 3 OLD (settled since)
--@include clock
--@include ledger
local now, id = clock(ARGV[1]), ARGV[3]
open(now, ARGV[2])
local ver, used, want = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local one = account(id)
if one and ver < one.ver then return answer(3, now) end
if not one then -- reopened, and long settled
  one = {granted = used, charged = used, ver = ver, asked = 0}
  redis.call('ZADD', looks, now + tonumber(ARGV[9]), id)
end
if redis.call('ZREM', tails, id) == 1 then redis.call('ZADD', looks, now + tonumber(ARGV[9]), id) end
charge(one, used)
one.ver, one.asked = ver, 0
put(id, one)
local more = want - one.granted
if more <= 0 then return answer(0, now) end
local code = full(book.reserved + more, ARGV[7], ARGV[8])
if code == 0 then one.granted = want else one.asked = more end
put(id, one)
return answer(code, now)
