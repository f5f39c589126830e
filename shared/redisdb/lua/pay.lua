-- What a message may cost at most, in units of the quota, taken from the execution's allowance: 1, or 1 and its tail (its retries
-- and its failure callback), or 0 if nothing is left. nil: nobody counts this execution.
-- `back`: it leads to undoing, so that it may spend what is kept for that.
-- `allow` is never more than the tenant's ledger has reserved; used + held never more than `allow`.
local function pay(x, now, not_before, back)
  local r = redis.call('HMGET', x, 'allow', 'used', 'held', 'held_ms', 'floor', 'tail', 'phase')
  if not r[1] then return nil end
  local held, held_ms, tail = tonumber(r[3]), tonumber(r[4]), tonumber(r[6])
  if now - held_ms >= 120000 then held = 0 end -- nothing more comes of earlier messages
  local left = tonumber(r[1]) - tonumber(r[2]) - held
  if r[7] ~= 'undo' and not back then left = left - tonumber(r[5]) end
  if left < 1 then return 0 end
  if left < 1 + tail then tail = 0 end
  if tail > 0 then held_ms = math.max(held_ms, now, not_before) end
  redis.call('HSET', x, 'used', tonumber(r[2]) + 1, 'held', held + tail, 'held_ms', held_ms)
  return 1 + tail
end
