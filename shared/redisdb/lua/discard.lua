-- Take dead letters out of a tenant's list. Their executions do not change.
-- KEYS: 1 dead letters' times  2 dead letters
-- ARGV: letter id, ...
-- Returns: how many were there
redis.call('ZREM', KEYS[1], unpack(ARGV))
return redis.call('HDEL', KEYS[2], unpack(ARGV))
