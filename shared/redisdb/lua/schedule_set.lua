-- Pause a schedule, or let it run from a next time on. A pause forgets the times that wait.
-- KEYS: 1 schedule  2 schedules' times
-- ARGV: 1 schedule id  2 tenant  3 active | paused  4 next time (unix ms; 0 when paused)
-- Returns: {0 OK} | {1 ABSENT}
--@include scheduled
local r = redis.call('HMGET', KEYS[1], 'tenant', 'waiting', 'until_ms')
if r[1] ~= ARGV[2] then return {1} end
local waiting = r[2] or ''
if ARGV[3] == 'paused' and waiting ~= '' then
  local _, commas = string.gsub(waiting, ',', '')
  redis.call('HINCRBY', KEYS[1], 'skipped', commas + 1)
  waiting = ''
end
redis.call('HSET', KEYS[1], 'state', ARGV[3], 'next_ms', ARGV[4], 'waiting', waiting)
rearm(KEYS[2], ARGV[1], ARGV[3], ARGV[4], waiting, r[3] or '0')
return {0}
