-- Numbers one start of the server.
-- KEYS  1 counter of starts
-- Returns  a number above all earlier ones (sent twice, it leaves a gap, which is no harm)
return redis.call('INCR', KEYS[1])
