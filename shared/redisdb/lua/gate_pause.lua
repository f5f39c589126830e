-- A person closes a gate. The same once more changes nothing; another reason or actor is noted.
-- KEYS: 1 closed gates  2 audit
-- ARGV: 1 now  2 gate  3 actor  4 reason  5 lines of the audit at most
-- Returns: {0 PAUSED, gate} | {1 ALREADY, gate}
--@include clock
local text = redis.call('HGET', KEYS[1], ARGV[2])
local gate = text and cjson.decode(text)
if gate and gate.actor == ARGV[3] and gate.reason == ARGV[4] then return {1, text} end
local now = clock(ARGV[1])
text = cjson.encode({since_ms = gate and gate.since_ms or now, actor = ARGV[3], reason = ARGV[4]})
redis.call('HSET', KEYS[1], ARGV[2], text)
local line = cjson.encode({at_ms = now, what = 'paused', gate = ARGV[2], actor = ARGV[3], reason = ARGV[4]})
redis.call('XADD', KEYS[2], 'MAXLEN', ARGV[5], '*', 'l', line)
return {0, text}
