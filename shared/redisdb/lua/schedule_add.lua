-- Store a new schedule, its next time and its place in the list; once for an id.
-- KEYS: 1 schedule  2 schedules' times  3 listing
-- ARGV: 1 now  2 schedule id  3 next time (unix ms)  4 listing member  5 schedules of the tenant on this partition at most
--       6... (field, value)*n
-- Returns: {0 OK} | {1 EXISTS} | {2 FULL}
--@include clock
if redis.call('EXISTS', KEYS[1]) == 1 then return {1} end
if redis.call('ZCARD', KEYS[3]) >= tonumber(ARGV[5]) then return {2} end
redis.call('HSET', KEYS[1], 'created_ms', clock(ARGV[1]), 'next_ms', ARGV[3], unpack(ARGV, 6))
redis.call('ZADD', KEYS[2], ARGV[3], ARGV[2])
redis.call('ZADD', KEYS[3], 0, ARGV[4])
return {0}
