-- Ends a run, and tells the run that invoked it.
-- KEYS  the user's fixed keys
-- ARGV  1 prefix  2 now (ms)  3 run  4 RUN_SUCCESS | RUN_CANCELED  5 its answer  6 how long an ended run is kept (ms)
--       7 the invoking run or ''  8 entry for it  9... seven of its message, as in put.lua
-- Returns  1 ended  2 had ended before  0 no such run
local key = ARGV[1] .. 'w:' .. ARGV[3]
if redis.call('EXISTS', key) == 0 then return 0 end
if not close(ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[6]) then return 2 end
redis.call('HSET', key, 'response', ARGV[5])
append(ARGV[1], ARGV[2], ARGV[7], ARGV[8], ARGV, 9)
return 1
