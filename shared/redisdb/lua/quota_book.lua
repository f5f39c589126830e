-- How a tenant stands now.
-- KEYS: 1 sums  2 accounts  3 tails  4 looks
-- ARGV: 1 now  2 day's offset ms
-- Returns: {0, now, spent of the day, spent of the month, reserved, running, waiting}
--@include clock
--@include ledger
local now = clock(ARGV[1])
open(now, ARGV[2])
return answer(0, now)
