-- Deletes a queue and cancels its messages, a part at a time so that no call takes long.
-- KEYS  1 due  2 held  3 events  4 dlq  5 boot
-- ARGV  1 prefix  2 now (ms)  3 name  4 how long a cancelled message is kept (ms)  5 how many at most
-- Returns  how many messages are left: call again until it is 0, which also means that the queue is gone
--@include log
--@include put
--@include gates
--@include cancelling
local prefix, now, name = ARGV[1], ARGV[2], ARGV[3]
local q, line, open = prefix .. 'q:' .. name, prefix .. 'qwait:' .. name, prefix .. 'qopen:' .. name
if redis.call('EXISTS', q) == 1 then redis.call('HSET', q, 'paused', 1) end
for _, id in ipairs(redis.call('ZRANGE', line, 0, ARGV[5] - 1)) do
  cancel_one(prefix, now, ARGV[4], id)
  redis.call('ZREM', line, id)
end
local left = redis.call('ZCARD', line)
if left > 0 then return left end
for _, id in ipairs(redis.call('HKEYS', open)) do cancel_one(prefix, now, ARGV[4], id) end
redis.call('DEL', q, open)
redis.call('ZREM', prefix .. 'queues', name)
return 0
