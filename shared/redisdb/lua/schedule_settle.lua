-- What the first waiting time of a schedule came to. Only by whom has it.
-- KEYS: 1 schedule  2 schedules' times
-- ARGV: 1 now  2 schedule id  3 token  4 the time  5 what: started | skipped | failed | later  6 execution  7 error (JSON, or '')
--       8 ms until it is looked at again (later)
-- Returns: {0 OK} | {1 LOST} (settled before, or in other hands) | {2 ABSENT}
--@include clock
--@include scheduled
local x = KEYS[1]
local r = redis.call('HMGET', x, 'state', 'next_ms', 'waiting', 'token')
if not r[1] then return {2} end
local waiting = r[3] or ''
if r[4] ~= ARGV[3] or string.match(waiting, '^%d+') ~= ARGV[4] then return {1} end
local now = clock(ARGV[1])
local until_ms = 0
local counters = {started = 'runs', skipped = 'skipped', failed = 'failures'}
if ARGV[5] == 'later' then
  until_ms = now + tonumber(ARGV[8])
else
  waiting = string.sub(waiting, #ARGV[4] + 2)
  redis.call('HINCRBY', x, counters[ARGV[5]], 1)
  if ARGV[5] == 'started' then redis.call('HSET', x, 'last_ms', ARGV[4], 'last_execution', ARGV[6]) end
end
if ARGV[7] ~= '' then redis.call('HSET', x, 'last_error', ARGV[7]) end
redis.call('HSET', x, 'waiting', waiting, 'until_ms', until_ms, 'token', '')
rearm(KEYS[2], ARGV[2], r[1], r[2], waiting, until_ms)
return {0}
