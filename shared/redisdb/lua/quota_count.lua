-- Count what came of a message beside its first delivery: retries, a failure callback. It was held when the message was sent.
-- KEYS: 1 record
-- ARGV: 1 message id  2 units beside the first delivery so far, counted from the beginning
-- Returns: {0 COUNTED, fresh units} | {1 ABSENT} (no such execution, or nobody counts it)
local r = redis.call('HMGET', KEYS[1], 'used', 'held', 'a:' .. ARGV[1])
if not r[1] then return {1} end
local fresh = tonumber(ARGV[2]) - tonumber(r[3] or '0')
if fresh <= 0 then return {0, 0} end
redis.call('HSET', KEYS[1], 'a:' .. ARGV[1], ARGV[2], 'used', tonumber(r[1]) + fresh, 'held', math.max(0, tonumber(r[2]) - fresh))
return {0, fresh}
