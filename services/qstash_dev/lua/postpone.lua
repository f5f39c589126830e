-- Moves a leased message's attempt to a later time, without counting it (faults on demand: delay, reorder).
-- KEYS  1 due  2 held  3 events  4 dlq  5 boot
-- ARGV  1 prefix  2 now (ms)  3 id  4 retried, as the attempt saw it  5 due (ms)  6 more (JSON)
-- Returns  1 postponed  0 was postponed, finished or cancelled before
--@include log
--@include put
--@include gates
local key = ARGV[1] .. 'm:' .. ARGV[3]
local m = redis.call('HMGET', key, 'rec', 'body', 'n', 'state', 'fk')
if m[4] ~= 'ACTIVE' or m[3] ~= ARGV[4] then return 0 end
redis.call('HSET', key, 'state', 'RETRY', 'due', ARGV[5])
redis.call('ZREM', KEYS[2], ARGV[3])
redis.call('ZADD', KEYS[1], ARGV[5], ARGV[3])
if m[5] and m[5] ~= '' then flow_leave(ARGV[1], ARGV[2], m[5], ARGV[3]) end -- its place is free until it comes again
log(ARGV[3], 'RETRY', ARGV[2], m[1], m[2], ARGV[6])
return 1
