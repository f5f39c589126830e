-- Wakes waiters of an event: each gets its step, and its message is due now. For one run without a waiter, it is kept.
-- KEYS  the user's fixed keys
-- ARGV  1 prefix  2 now (ms)  3 event  4 the only run, or ''  5 data to keep for it  then run, message, entry, body for each
-- Returns  the ids of the messages that were woken, or 0 when the run began to wait meanwhile: look again
local prefix, now, event, only = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local waiters, woken = prefix .. 'wait:' .. event, {}
for i = 6, #ARGV, 4 do
  local run, id = ARGV[i], ARGV[i + 1]
  local key, message = prefix .. 'w:' .. run, prefix .. 'm:' .. id
  if redis.call('HDEL', waiters, run .. ':' .. id) == 1 then
    redis.call('HDEL', key, 'w:' .. id)
    redis.call('RPUSH', prefix .. 'ws:' .. run, ARGV[i + 2])
    redis.call('HSET', message, 'body', ARGV[i + 3])
    if redis.call('HGET', message, 'state') ~= 'ACTIVE' then -- else its time was over in this very moment
      redis.call('HSET', message, 'due', now)
      redis.call('ZREM', KEYS[2], id)
      redis.call('ZADD', KEYS[1], now, id)
    end
    woken[#woken + 1] = id
  elseif redis.call('HGET', message, 'body') == ARGV[i + 3] then
    woken[#woken + 1] = id -- the same call, sent twice
  end
end
if only ~= '' and #woken == 0 and redis.call('HGET', prefix .. 'w:' .. only, 'state') == 'RUN_STARTED' then
  for _, field in ipairs(redis.call('HKEYS', waiters)) do
    if string.sub(field, 1, #only + 1) == only .. ':' then return 0 end
  end
  redis.call('HSET', prefix .. 'w:' .. only, 'n:' .. event, ARGV[5])
end
return woken
