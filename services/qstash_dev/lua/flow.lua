-- Steers a flow-control key: pause, resume, pin, unpin or reset (of the rate). A paused or pinned key is kept for good.
-- KEYS  1 due  2 held  3 events  4 dlq  5 boot
-- ARGV  1 prefix  2 now (ms)  3 key  4 what  5 parallelism or ''  6 rate or ''  7 period (s) or ''
--       for unpin: 5 and 6 are 1 for what is to follow the messages again
-- Returns  1 done  0 there is no such key (pause and pin make it)
--@include log
--@include put
local prefix, now, key, what = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local f, starts = prefix .. 'f:' .. key, prefix .. 'fstarts:' .. key
if redis.call('EXISTS', f) == 0 then
  if what ~= 'pause' and what ~= 'pin' then return 0 end
  redis.call('HSET', f, 'parallelism', 0, 'rate', 0, 'period', 1)
end
if what == 'pause' then
  redis.call('HSET', f, 'paused', 1)
elseif what == 'resume' then
  redis.call('HDEL', f, 'paused')
elseif what == 'pin' then
  if ARGV[5] ~= '' then redis.call('HSET', f, 'parallelism', ARGV[5], 'pin_p', 1) end
  if ARGV[6] ~= '' then redis.call('HSET', f, 'rate', ARGV[6], 'pin_r', 1) end
  if ARGV[7] ~= '' then redis.call('HSET', f, 'period', ARGV[7], 'pin_r', 1) end
elseif what == 'unpin' then
  if ARGV[5] == '1' then redis.call('HDEL', f, 'pin_p') end
  if ARGV[6] == '1' then redis.call('HDEL', f, 'pin_r') end
end
if what == 'pin' or what == 'reset' then
  redis.call('DEL', starts)
  redis.call('HSET', f, 'reset', now)
end
local kept = redis.call('HMGET', f, 'paused', 'pin_p', 'pin_r')
if kept[1] or kept[2] or kept[3] then
  redis.call('PERSIST', f)
  redis.call('ZADD', prefix .. 'flows', '+inf', key)
else
  redis.call('PEXPIRE', f, FLOW_MS)
  redis.call('ZADD', prefix .. 'flows', now, key)
end
flow_advance(prefix, now, key)
return 1
