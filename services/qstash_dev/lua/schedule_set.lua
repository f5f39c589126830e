-- Makes a schedule, or replaces one with all that it had; when it was first made is kept.
-- KEYS  1 due  2 held  3 events  4 dlq  5 boot
-- ARGV  1 prefix  2 now (ms)  3 id  4 rec (JSON)  5 body  6 next time (ms)  7 a number of this version
-- Returns  1
local s, prefix = ARGV[1] .. 's:' .. ARGV[3], ARGV[1]
local created = redis.call('HGET', s, 'created') or ARGV[2]
redis.call('DEL', s, prefix .. 'sstates:' .. ARGV[3])
redis.call('HSET', s, 'rec', ARGV[4], 'body', ARGV[5], 'next', ARGV[6], 'version', ARGV[7], 'created', created, 'paused', 0)
redis.call('ZADD', prefix .. 'schedules', ARGV[6], ARGV[3])
return 1
