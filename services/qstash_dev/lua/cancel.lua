-- Cancels live messages. A request that is on the wire may still complete; its outcome is then not recorded.
-- KEYS  1 due  2 held  3 events  4 dlq  5 boot
-- ARGV  1 prefix  2 now (ms)  3 how long a cancelled message is kept (ms)  4... ids
-- Returns  how many were cancelled
--@include log
local count = 0
for i = 4, #ARGV do
  local id = ARGV[i]
  local key = ARGV[1] .. 'm:' .. id
  local m = redis.call('HMGET', key, 'rec', 'body', 'state')
  if m[1] and LIVE[m[3]] then
    log(id, 'CANCEL_REQUESTED', ARGV[2], m[1], m[2], '')
    log(id, 'CANCELED', ARGV[2], m[1], m[2], '')
    redis.call('HSET', key, 'state', 'CANCELED')
    redis.call('PEXPIRE', key, ARGV[3])
    redis.call('ZREM', KEYS[1], id)
    redis.call('ZREM', KEYS[2], id)
    count = count + 1
  end
end
return count
