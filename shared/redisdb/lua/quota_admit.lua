-- Reserve what a new execution may cost, if that leaves the limits whole. It is looked at soon: perhaps it is never created.
-- KEYS: 1 sums  2 accounts  3 tails  4 looks
-- ARGV: 1 now  2 day's offset ms  3 execution id  4 units  5 day line  6 month line  7 concurrent (0 = no limit)  8 ms until the look
-- Returns: {code, now, spent of the day, spent of the month, reserved, running, waiting}
--   code: 0 ADMITTED (before or now) | 1 DAY is full | 2 MONTH | 3 CONCURRENT
--@include clock
--@include ledger
local now = clock(ARGV[1])
open(now, ARGV[2])
if account(ARGV[3]) then return answer(0, now) end
if tonumber(ARGV[7]) > 0 and running() >= tonumber(ARGV[7]) then return answer(3, now) end
local units = tonumber(ARGV[4])
local code = full(book.reserved + book.waiting + units, ARGV[5], ARGV[6])
if code == 0 then
  put(ARGV[3], {granted = units, charged = 0, ver = 0, asked = 0})
  redis.call('ZADD', looks, now + tonumber(ARGV[8]), ARGV[3])
end
return answer(code, now)
