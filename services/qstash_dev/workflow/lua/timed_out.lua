-- The deadline of a wait has come: unless it was notified before, its step says so.
-- KEYS  the user's fixed keys
-- ARGV  1 prefix  2 run  3 message  4 event  5 entry  6 body
-- Returns  1 when it was this that ended the wait
local prefix = ARGV[1]
if redis.call('HDEL', prefix .. 'wait:' .. ARGV[4], ARGV[2] .. ':' .. ARGV[3]) == 0 then return 0 end
redis.call('HDEL', prefix .. 'w:' .. ARGV[2], 'w:' .. ARGV[3])
redis.call('RPUSH', prefix .. 'ws:' .. ARGV[2], ARGV[5])
redis.call('HSET', prefix .. 'm:' .. ARGV[3], 'body', ARGV[6])
return 1
