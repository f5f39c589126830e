-- Makes a queue, or gives it new settings; what waits starts if it may now.
-- KEYS  1 due  2 held  3 events  4 dlq  5 boot
-- ARGV  1 prefix  2 now (ms)  3 name  4 parallelism  5 paused, 0 or 1
-- Returns  how many messages became due
--@include log
--@include put
local q = ARGV[1] .. 'q:' .. ARGV[3]
redis.call('HSET', q, 'parallelism', ARGV[4], 'paused', ARGV[5], 'updated', ARGV[2])
redis.call('HSETNX', q, 'created', ARGV[2])
redis.call('ZADD', ARGV[1] .. 'queues', 'NX', ARGV[2], ARGV[3])
return queue_advance(ARGV[1], ARGV[2], ARGV[3])
