-- How the gates stand: all that is closed, and what counts against each of these tools now. Reads only.
-- KEYS: 1 closed gates  2... failures of tools
-- ARGV: 1 now  2 window ms
-- Returns: {0, now, {name, gate, ...}, {failures in a row, calls, failed} ...} in the order of KEYS
--@include clock
local now, window = clock(ARGV[1]), tonumber(ARGV[2])
local found = {0, now, redis.call('HGETALL', KEYS[1])}
for at = 2, #KEYS do
  local r = redis.call('HMGET', KEYS[at], 'row', 'calls', 'bad', 'start_ms', 'last_ms')
  local row, calls, bad = tonumber(r[1] or '0'), tonumber(r[2] or '0'), tonumber(r[3] or '0')
  if r[5] and now - tonumber(r[5]) >= window then row, calls, bad = 0, 0, 0 end -- long ago: the next failure begins anew
  if r[4] and now - tonumber(r[4]) >= window then calls, bad = 0, 0 end
  found[#found + 1] = {row, calls, bad}
end
return found
