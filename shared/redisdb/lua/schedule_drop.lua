-- Delete a schedule. Its executions stay.
-- KEYS: 1 schedule  2 schedules' times  3 listing
-- ARGV: 1 schedule id  2 tenant  3 listing member
-- Returns: {0 DROPPED} | {1 ABSENT}
if redis.call('HGET', KEYS[1], 'tenant') ~= ARGV[2] then return {1} end
redis.call('DEL', KEYS[1])
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('ZREM', KEYS[3], ARGV[3])
return {0}
