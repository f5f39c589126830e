-- A circuit's time has come: one call may try the tool; for all others it stays open until that call has told, or is given up.
-- KEYS: 1 closed gates
-- ARGV: 1 now  2 the circuit's name  3 token of the caller  4 ms that a probe is waited for
-- Returns: {0 YOURS} | {1 OPEN, until} | {2 CLOSED} (somebody's probe went well)
--@include clock
local now = clock(ARGV[1])
local text = redis.call('HGET', KEYS[1], ARGV[2])
if not text then return {2} end
local gate = cjson.decode(text)
if gate.probe == ARGV[3] and gate.until_ms > now then return {0} end -- sent twice by the client
if gate.until_ms > now then return {1, gate.until_ms} end
gate.probe, gate.until_ms = ARGV[3], now + tonumber(ARGV[4])
redis.call('HSET', KEYS[1], ARGV[2], cjson.encode(gate))
return {0}
