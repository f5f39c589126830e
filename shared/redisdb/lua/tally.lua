-- Count an execution where it stands now: in its tenant's tally by status, in the minute if it begins or ends, and among those
-- that wait. `from` and `to` are statuses; false is none. A count that comes to nothing leaves.
-- What is deleted takes the minutes along that are over: nothing of a tenant stays that has nothing any more.
-- Of the latest 32 minutes the tally has `m<minute mod 32>`: <minute>:<begun>:<ended>:<of these failed>.
local function tally(counts, waiting, id, now, from, to)
  if from == to then return end
  -- Not outside: a script's tables are made whenever it runs, and most commits move no status.
  local RESTING = {SUSPENDED = true, PAUSED = true, AWAITING_CONFIRMATION = true}
  local ENDS = {COMPLETED = 0, REJECTED = 0, CANCELLED = 0, FAILED = 1, TIMED_OUT = 1, COMPENSATED = 1, COMPENSATION_FAILED = 1}
  local failed, at, sets = ENDS[to], math.floor(now / 60000), {}
  local field = 'm' .. at % 32
  local known = redis.call('HMGET', counts, from or '', to or '', field)
  if from then
    local left = tonumber(known[1] or '0') - 1
    if left > 0 then
      sets[1], sets[2] = from, left
    else
      redis.call('HDEL', counts, from)
    end
  end
  if to then sets[#sets + 1], sets[#sets + 2] = to, tonumber(known[2] or '0') + 1 end
  if failed or not from then
    local minute, begun, ended, bad = string.match(known[3] or '', '(%d+):(%d+):(%d+):(%d+)')
    if tonumber(minute) ~= at then begun, ended, bad = 0, 0, 0 end
    sets[#sets + 1] = field
    sets[#sets + 1] = string.format('%d:%d:%d:%d', at, begun + (from and 0 or 1), ended + (failed and 1 or 0), bad + (failed or 0))
  end
  if not to then
    local all = redis.call('HGETALL', counts)
    for i = 1, #all, 2 do
      local minute = string.match(all[i], '^m') and string.match(all[i + 1], '^%d+')
      if minute and tonumber(minute) <= at - 32 then redis.call('HDEL', counts, all[i]) end
    end
  end
  if #sets > 0 then redis.call('HSET', counts, unpack(sets)) end
  if RESTING[to] and not RESTING[from] then
    redis.call('ZADD', waiting, now, id)
  elseif RESTING[from] and not RESTING[to] then
    redis.call('ZREM', waiting, id)
  end
end
