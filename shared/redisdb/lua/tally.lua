-- Count an execution where it stands now: in its tenant's tally by status, in the minute if it begins or ends, and among those
-- that wait. `from` and `to` are statuses; false is none. A count that comes to nothing leaves.
-- What is deleted takes the minutes along that are over: nothing of a tenant stays that has nothing any more.
-- Of the latest 32 minutes the tally has `m<minute mod 32>`: <minute>:<begun>:<ended>:<of these failed>.
local function tally(counts, waiting, id, now, from, to)
  if from == to then return end
  -- Not outside: a script's tables are made whenever it runs, and most commits move no status.
  local RESTING = {SUSPENDED = true, PAUSED = true, AWAITING_CONFIRMATION = true}
  local ENDS = {COMPLETED = 0, REJECTED = 0, CANCELLED = 0, FAILED = 1, TIMED_OUT = 1, COMPENSATED = 1, COMPENSATION_FAILED = 1}
  if from and redis.call('HINCRBY', counts, from, -1) <= 0 then redis.call('HDEL', counts, from) end
  if to then redis.call('HINCRBY', counts, to, 1) end
  if RESTING[to] and not RESTING[from] then
    redis.call('ZADD', waiting, now, id)
  elseif RESTING[from] and not RESTING[to] then
    redis.call('ZREM', waiting, id)
  end
  local failed = ENDS[to]
  local at = math.floor(now / 60000)
  if not to then
    local known = redis.call('HGETALL', counts)
    for i = 1, #known, 2 do
      local minute = string.match(known[i], '^m') and string.match(known[i + 1], '^%d+')
      if minute and tonumber(minute) <= at - 32 then redis.call('HDEL', counts, known[i]) end
    end
  end
  if from and not failed then return end
  local field = 'm' .. at % 32
  local minute, begun, ended, bad = string.match(redis.call('HGET', counts, field) or '', '(%d+):(%d+):(%d+):(%d+)')
  if tonumber(minute) ~= at then begun, ended, bad = 0, 0, 0 end
  redis.call('HSET', counts, field, string.format('%d:%d:%d:%d', at, begun + (from and 0 or 1), ended + (failed and 1 or 0),
    bad + (failed or 0)))
end
