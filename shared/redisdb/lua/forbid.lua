-- An execution was stopped before it was created: leave a tombstone, so that its creation, which may still come, is refused.
-- KEYS: 1 record
-- ARGV: 1 life of the tombstone in ms
-- Returns: {0 FORBIDDEN} | {1 EXISTS, status}
local status = redis.call('HGET', KEYS[1], 'status')
if status then return {1, status} end
redis.call('HSET', KEYS[1], 'buried', 1)
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return {0}
