-- Slots of one limit: free what has run out, give what is free to those who wait, and arm the sweep.
-- A holder's score is when its slot comes back by itself.
local function free(holders, now) redis.call('ZREMRANGEBYSCORE', holders, '-inf', now) end
local function promote(holders, queue, facts, grants, now, identity, grant_ms, relay_ms)
  local most = tonumber(redis.call('HGET', facts, '=most') or '0')
  local found = {}
  local until_ms = now + grant_ms
  while redis.call('ZCARD', queue) > 0 and redis.call('ZCARD', holders) < most do
    local member = redis.call('ZPOPMIN', queue)[1]
    local text = redis.call('HGET', facts, 'm:' .. member)
    if text then
      local fact = cjson.decode(text)
      redis.call('HDEL', facts, 'm:' .. member)
      redis.call('ZADD', holders, until_ms, member)
      local grant = cjson.encode({identity, redis.call('HGET', facts, '=name'), member, fact[1], fact[2], fact[3],
        string.format('%.0f', now), string.format('%.0f', until_ms)})
      redis.call('ZADD', grants, now + relay_ms, grant)
      found[#found + 1] = grant
    end
  end
  return found
end
-- Whether somebody waits decides what is kept; without a queue nobody needs to look. The key outlives its last slot by a minute.
local function rearm(holders, queue, facts, times, now, identity)
  local first = redis.call('ZRANGE', holders, 0, 0, 'WITHSCORES')
  local last = redis.call('ZRANGE', holders, -1, -1, 'WITHSCORES')
  if last[2] then redis.call('PEXPIRE', holders, string.format('%.0f', tonumber(last[2]) - now + 60000)) end
  if redis.call('ZCARD', queue) == 0 then
    redis.call('DEL', facts)
    redis.call('ZREM', times, identity)
  else
    redis.call('ZADD', times, first[2] or now, identity)
  end
end
