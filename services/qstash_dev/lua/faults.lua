-- Reads the faults that are to survive a restart.
-- KEYS  1 faults
-- Returns  JSON, or nil when there are none
return redis.call('GET', KEYS[1])
