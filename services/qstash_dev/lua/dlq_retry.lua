-- Publishes a dead letter as a new message and takes it out of the dead-letter queue.
-- KEYS  1 due  2 held  3 events  4 dlq  5 boot
-- ARGV  1 prefix  2 now (ms)  3 dead-letter id  4... seven, as in put.lua
-- Returns  the new id, or false when there is no such dead letter
--@include log
--@include put
local dead = ARGV[1] .. 'dlq:' .. ARGV[3]
if redis.call('EXISTS', dead) == 0 then
  return redis.call('EXISTS', ARGV[1] .. 'm:' .. ARGV[4]) == 1 and ARGV[4] or false -- the same call, sent twice
end
local id = put(ARGV[1], ARGV[2], ARGV, 4)
redis.call('DEL', dead)
redis.call('ZREM', KEYS[4], ARGV[3])
return id
