-- Look at an execution again at the latest in so many ms (a hint arrived). Never later than before.
-- KEYS: 1 record  2 due
-- ARGV: 1 now  2 execution id  3 ms from now  4 terminal statuses
-- Returns: {0 OK, segment} | {1 TERMINAL} | {2 ABSENT}
--@include clock
local r = redis.call('HMGET', KEYS[1], 'status', 'segment')
if not r[1] then return {2} end
if string.find(ARGV[4], ',' .. r[1] .. ',', 1, true) then return {1} end
redis.call('ZADD', KEYS[2], 'LT', clock(ARGV[1]) + tonumber(ARGV[3]), ARGV[2])
return {0, tonumber(r[2])}
