-- A person opens gates; circuits among them forget their failures.
-- KEYS: 1 closed gates  2 audit  3... failures of tools
-- ARGV: 1 now  2 actor  3 reason  4 lines of the audit at most  5... gates
-- Returns: {0, how many were closed}
--@include clock
local now = clock(ARGV[1])
local count = 0
for at = 5, #ARGV do
  if redis.call('HDEL', KEYS[1], ARGV[at]) == 1 then
    count = count + 1
    local line = cjson.encode({at_ms = now, what = 'resumed', gate = ARGV[at], actor = ARGV[2], reason = ARGV[3]})
    redis.call('XADD', KEYS[2], 'MAXLEN', ARGV[4], '*', 'l', line)
  end
end
for at = 3, #KEYS do redis.call('DEL', KEYS[at]) end
return {0, count}
