-- Stores the failure callback of a failed run once more, or cancels the one that is on its way.
-- KEYS  the user's fixed keys
-- ARGV  1 prefix  2 now (ms)  3 run  4... seven of the message, as in put.lua; none to cancel
-- Returns  1 done  0 the run is unknown or has not failed
local key = ARGV[1] .. 'w:' .. ARGV[3]
local run = redis.call('HMGET', key, 'state', 'failure')
if run[1] ~= 'RUN_FAILED' then return 0 end
if #ARGV == 3 then
  if run[2] then cancel_waiting(ARGV[1], ARGV[2], run[2]) end
  redis.call('HSET', key, 'callback', '{"state":"CALLBACK_CANCELED"}')
  return 1
end
put(ARGV[1], ARGV[2], ARGV, 4)
redis.call('HSET', key, 'failure', ARGV[4])
redis.call('HDEL', key, 'callback')
return 1
