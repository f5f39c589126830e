-- Creates a run and stores its first message; with a dead letter, it goes on from that one, which is gone then.
-- KEYS  the user's fixed keys
-- ARGV  1 prefix  2 now (ms)  3 run  4 rec of the run (JSON)  5 dead-letter id or ''  6 number of entries  then the entries
--       then seven of the message, as in put.lua
-- Returns  {message id, created (ms), 1 if this call created it}, or false when there is no such dead letter
local prefix, now, run, dead = ARGV[1], ARGV[2], ARGV[3], ARGV[5]
local key, runs, place = prefix .. 'w:' .. run, prefix .. 'runs', 7 + ARGV[6]
local known = redis.call('HMGET', key, 'first', 'created')
if known[1] then return { known[1], known[2], known[1] == ARGV[place] and 1 or 0 } end
if dead ~= '' then
  if redis.call('DEL', prefix .. 'dlq:' .. dead) == 0 then return false end
  redis.call('ZREM', KEYS[4], dead)
end
local id = put(prefix, now, ARGV, place)
if id ~= ARGV[place] then return { id, now, 0 } end
redis.call('HSET', key, 'rec', ARGV[4], 'state', 'RUN_STARTED', 'created', now, 'first', id)
for i = 7, place - 1 do redis.call('RPUSH', prefix .. 'ws:' .. run, ARGV[i]) end
for _, old in ipairs(redis.call('ZRANGE', runs, 0, 9)) do -- runs that are forgotten
  if redis.call('EXISTS', prefix .. 'w:' .. old) == 0 then redis.call('ZREM', runs, old) end
end
redis.call('ZADD', runs, now, run)
return { id, now, 1 }
