-- Lets a run wait for an event: its message is due at the deadline, or now when the notification came before.
-- KEYS  the user's fixed keys
-- ARGV  1 prefix  2 now (ms)  3 run  4 event  5 waiter (JSON)  6 '1' when the caller has seen an early notification
--       7 entry for that case  8... seven of the message, as in put.lua
-- Returns  the message id, false when the run is over or unknown, 0 when a notification came or went: look again
local prefix, run, event, id = ARGV[1], ARGV[3], ARGV[4], ARGV[8]
local key = prefix .. 'w:' .. run
if redis.call('EXISTS', prefix .. 'm:' .. id) == 1 then return id end
if redis.call('HGET', key, 'state') ~= 'RUN_STARTED' then return false end
if (redis.call('HEXISTS', key, 'n:' .. event) == 1) ~= (ARGV[6] == '1') then return 0 end
if put(prefix, ARGV[2], ARGV, 8) ~= id then return 0 end
if ARGV[6] == '1' then
  redis.call('HDEL', key, 'n:' .. event)
  redis.call('RPUSH', prefix .. 'ws:' .. run, ARGV[7])
else
  redis.call('HSET', prefix .. 'wait:' .. event, run .. ':' .. id, ARGV[5])
  redis.call('HSET', key, 'w:' .. id, event)
end
return id
