-- Tell an execution what the ledger has reserved for it. One that waits for it goes on at once.
-- KEYS: 1 record  2 due
-- ARGV: 1 now  2 execution id  3 units altogether  4 '1' if nobody holds it: wake it  5 terminal statuses
-- Returns: {0 OK} | {1 TERMINAL} | {2 ABSENT} (no such execution, or nobody counts it)
--@include clock
local r = redis.call('HMGET', KEYS[1], 'allow', 'status', 'reason')
if not r[1] then return {2} end
if string.find(ARGV[5], ',' .. r[2] .. ',', 1, true) then return {1} end
redis.call('HSET', KEYS[1], 'allow', math.max(tonumber(r[1]), tonumber(ARGV[3])))
if ARGV[4] == '1' then
  if r[3] == 'quota' then redis.call('HSET', KEYS[1], 'wake_ms', 0) end
  redis.call('ZADD', KEYS[2], 'LT', clock(ARGV[1]), ARGV[2])
end
return {0}
