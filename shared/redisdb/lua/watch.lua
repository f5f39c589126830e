-- Somebody watches an execution for so long from now: its progress is told meanwhile. Never shortens a watch.
-- What there is already is read from the history, so telling begins behind its last line, unless somebody watches already.
-- KEYS: 1 record  2 history
-- ARGV: 1 now  2 tenant  3 ms from now
-- Returns: {0 OK, watched until, unix ms} | {1 ABSENT}
--@include clock
local x = KEYS[1]
local r = redis.call('HMGET', x, 'tenant', 'watched_ms')
if r[1] ~= ARGV[2] then return {1} end
local now = clock(ARGV[1])
local before = tonumber(r[2] or '0')
local till = math.max(before, now + tonumber(ARGV[3]))
if before <= now then
  local last = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)[1]
  if last then redis.call('HSET', x, 'told', last[1]) end
end
redis.call('HSET', x, 'watched_ms', till)
return {0, till}
