-- Makes a schedule's messages of one time and sets its next time: all of it or nothing, once for each time.
-- KEYS  1 due  2 held  3 events  4 dlq  5 boot
-- ARGV  1 prefix  2 boot id  3 now (ms)  4 id  5 version  6 the time it is for (ms)  7 next time (ms)
--       8 why nothing can be published, or ''  9... seven for each message, as in put.lua
-- Returns  how many messages were made, or -1 when another process owns the deliveries
--@include log
--@include put
local prefix, now, id = ARGV[1], ARGV[3], ARGV[4]
local owner = redis.call('GET', KEYS[5])
if owner and owner ~= ARGV[2] then return -1 end
local s, states = prefix .. 's:' .. id, prefix .. 'sstates:' .. id
local found = redis.call('HMGET', s, 'version', 'next', 'paused')
if found[1] ~= ARGV[5] or found[2] ~= ARGV[6] then return 0 end -- made, replaced or deleted before
redis.call('HSET', s, 'next', ARGV[7])
redis.call('ZADD', prefix .. 'schedules', ARGV[7], id)
if found[3] == '1' then return 0 end
redis.call('HSET', s, 'last', now, 'error', ARGV[8])
redis.call('DEL', states)
local count = 0
for place = 9, #ARGV, 7 do
  local message, stored = put(prefix, now, ARGV, place)
  if stored then
    redis.call('HSET', prefix .. 'm:' .. message, 'sid', id)
    redis.call('HSET', states, message, 'IN_PROGRESS')
    count = count + 1
  end
end
return count
