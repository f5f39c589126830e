-- Where a schedule stands in the index of times: at what comes first, its next time or its first waiting one.
local function rearm(times, id, state, next_ms, waiting, until_ms)
  local at = nil
  if state == 'active' and tonumber(next_ms) > 0 then at = tonumber(next_ms) end
  if waiting ~= '' and (not at or tonumber(until_ms) < at) then at = tonumber(until_ms) end
  if at then redis.call('ZADD', times, at, id) else redis.call('ZREM', times, id) end
end
