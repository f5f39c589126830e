-- Records the outcome of one attempt together with the messages it causes (callbacks): all of it or nothing.
-- KEYS  1 due  2 held  3 events  4 dlq  5 boot
-- ARGV  1 prefix  2 now (ms)  3 id  4 retried, as the attempt saw it  5 DELIVERED | RETRY | FAILED  6 next due (ms) or 0
--       7 how long a finished message is kept (ms)  8 dead-letter id or ''  9 answer for the dead letter (JSON)
--       10 dead-letter retention (ms)  11 number of events  then state, more (JSON) for each
--       then seven for each caused message, as in put.lua
-- Returns  1 recorded  2 was recorded, cancelled or superseded before  0 no such message
--@include log
--@include put
--@include gates
local prefix, now, id, verdict = ARGV[1], ARGV[2], ARGV[3], ARGV[5]
local key = prefix .. 'm:' .. id
local m = redis.call('HMGET', key, 'rec', 'body', 'n', 'state', 'tq', 'tk', 'fk', 'sid')
if not m[1] then
  redis.call('ZREM', KEYS[1], id)
  redis.call('ZREM', KEYS[2], id)
  return 0
end
if not LIVE[m[4]] or m[3] ~= ARGV[4] then return 2 end

local place = 12
for _ = 1, tonumber(ARGV[11]) do
  log(id, ARGV[place], now, m[1], m[2], ARGV[place + 1])
  place = place + 2
end
redis.call('ZREM', KEYS[2], id)
if verdict == 'RETRY' then
  redis.call('HSET', key, 'state', 'RETRY', 'n', m[3] + 1, 'due', ARGV[6])
  redis.call('ZADD', KEYS[1], ARGV[6], id)
else
  redis.call('ZREM', KEYS[1], id)
  redis.call('HSET', key, 'state', verdict)
  redis.call('PEXPIRE', key, ARGV[7])
end
if verdict == 'FAILED' and ARGV[8] ~= '' then
  local dead = prefix .. 'dlq:' .. ARGV[8]
  redis.call('HSET', dead, 'rec', m[1], 'body', m[2], 'answer', ARGV[9])
  redis.call('PEXPIRE', dead, ARGV[10])
  redis.call('ZREMRANGEBYSCORE', KEYS[4], '-inf', now - ARGV[10])
  redis.call('ZADD', KEYS[4], now, ARGV[8])
  redis.call('PEXPIRE', KEYS[4], ARGV[10])
end
while place <= #ARGV do
  local caused, stored = put(prefix, now, ARGV, place)
  if stored and m[6] then -- the queue waits for the callbacks too
    redis.call('HSET', prefix .. 'm:' .. caused, 'tq', m[5], 'tk', m[6])
    redis.call('HINCRBY', prefix .. 'qopen:' .. m[5], m[6], 1)
  end
  place = place + 7
end
if m[7] and m[7] ~= '' then flow_leave(prefix, now, m[7], id) end
if verdict ~= 'RETRY' then
  if m[6] then ticket_done(prefix, now, m[5], m[6]) end
  if m[8] then schedule_note(prefix, m[8], id, verdict == 'DELIVERED' and 'SUCCESS' or 'FAIL') end
end
return 1
