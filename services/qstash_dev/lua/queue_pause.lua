-- Pauses or resumes a queue. A message that has started goes on with its retries; none starts.
-- KEYS  1 due  2 held  3 events  4 dlq  5 boot
-- ARGV  1 prefix  2 now (ms)  3 name  4 paused, 0 or 1
-- Returns  how many messages became due, or -1 when there is no such queue
--@include log
--@include put
local q = ARGV[1] .. 'q:' .. ARGV[3]
if redis.call('EXISTS', q) == 0 then return -1 end
if redis.call('HGET', q, 'paused') ~= ARGV[4] then redis.call('HSET', q, 'paused', ARGV[4], 'updated', ARGV[2]) end
return queue_advance(ARGV[1], ARGV[2], ARGV[3])
