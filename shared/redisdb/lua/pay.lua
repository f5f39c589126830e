-- What a message costs an account that has so much left: 1, or 1 and its tail (its retries and its failure callback), or 0 if nothing is
-- left; then what is held behind it, and until when. `undo`: it may spend what is kept for undoing.
local function price(allow, used, held, held_ms, floor, tail, now, not_before, undo)
  if now - held_ms >= 120000 then held = 0 end -- nothing more comes of earlier messages
  local left = allow - used - held - (undo and 0 or floor)
  if left < 1 then return 0, held, held_ms end
  if left < 1 + tail then tail = 0 end
  if tail > 0 then held_ms = math.max(held_ms, now, not_before) end
  return 1 + tail, held + tail, held_ms
end
-- Take what a message may cost at most, in units of the quota, from the execution's allowance. nil: nobody counts this execution.
-- `back`: it leads to undoing.
-- `allow` is never more than the tenant's ledger has reserved; used + held never more than `allow`.
local function pay(x, now, not_before, back)
  local r = redis.call('HMGET', x, 'allow', 'used', 'held', 'held_ms', 'floor', 'tail', 'phase')
  if not r[1] then return nil end
  local cost, held, held_ms = price(tonumber(r[1]), tonumber(r[2]), tonumber(r[3]), tonumber(r[4]), tonumber(r[5]), tonumber(r[6]),
    now, not_before, back or r[7] == 'undo')
  if cost > 0 then redis.call('HSET', x, 'used', tonumber(r[2]) + 1, 'held', held, 'held_ms', held_ms) end
  return cost
end
