-- A schedule's time has come: move its next time, put the time to be run behind those that wait, and take the first of them.
-- It stays there until it is settled, so a process that dies in between loses nothing: the claim lapses.
-- KEYS: 1 schedule  2 schedules' times
-- ARGV: 1 now  2 schedule id  3 next time that this was decided for (0 = a person runs it now, -1 = nothing was decided)
--       4 next time after it  5 time to be run (0 = none)  6 times that are not run  7 claim ms  8 token of the claimer  9 waiting at most
-- Returns: {0 TAKEN, time} | {1 NOTHING} (decided for what somebody else has moved, or nothing waits) | {2 BUSY} | {3 ABSENT}
--   | {4 FULL} (too many wait for a person's one to be put behind them)
--@include clock
--@include scheduled
local x = KEYS[1]
local r = redis.call('HMGET', x, 'state', 'next_ms', 'waiting', 'until_ms', 'token')
if not r[1] then
  redis.call('ZREM', KEYS[2], ARGV[2])
  return {3}
end
local now = clock(ARGV[1])
local next_ms, waiting, until_ms = r[2], r[3] or '', tonumber(r[4] or '0')
local manual = ARGV[3] == '0'
local ours = r[1] == 'active' and ARGV[3] == next_ms and tonumber(next_ms) <= now
if manual or ours then
  local skipped = tonumber(ARGV[6])
  if ours then next_ms = ARGV[4] end
  local list = {}
  for time in string.gmatch(waiting, '%d+') do list[#list + 1] = time end
  local known = ARGV[5] == '0'
  for _, time in ipairs(list) do known = known or time == ARGV[5] end
  if not known then
    if #list >= tonumber(ARGV[9]) then
      if manual then return {4} end
      skipped = skipped + 1
    else
      list[#list + 1] = ARGV[5]
      if #list == 1 then until_ms = 0 end
    end
  end
  waiting = table.concat(list, ',')
  redis.call('HSET', x, 'next_ms', next_ms, 'waiting', waiting)
  if skipped > 0 then redis.call('HINCRBY', x, 'skipped', skipped) end
end
local code, first = 1, string.match(waiting, '^%d+')
if first then
  code = 2
  if until_ms <= now or r[5] == ARGV[8] then
    code, until_ms = 0, now + tonumber(ARGV[7])
    redis.call('HSET', x, 'token', ARGV[8])
  end
end
redis.call('HSET', x, 'until_ms', until_ms)
rearm(KEYS[2], ARGV[2], r[1], next_ms, waiting, until_ms)
if code == 0 then return {0, tonumber(first)} end
return {code}
