-- How a call of a tool ended: opens its circuit after too many failures, closes it after a good probe.
-- KEYS: 1 closed gates  2 the tool's failures  3 which circuits opened and closed
-- ARGV: 1 now  2 the circuit's name  3 '1' if it went well  4 id of the report  5 good calls of this process since its last report
--       6 failures in a row  7 calls at least  8 percent of them  9 window ms  10 open ms  11 open at most ms
--       12 lines of the record at most
-- Returns: {0 CLEAN} | {1 COUNTED, failures in a row} | {2 OPEN, gate}
-- While a circuit is open, calls that began before it opened change nothing. On record are its opening and its end, not each probe.
--@include clock
local now = clock(ARGV[1])
local text = redis.call('HGET', KEYS[1], ARGV[2])
local gate = text and cjson.decode(text)
local function told(what, reason)
  redis.call('XADD', KEYS[3], 'MAXLEN', ARGV[12], '*', 'l', cjson.encode({at_ms = now, what = what, gate = ARGV[2], reason = reason}))
end
local function close(since, times, reason)
  local ms = math.min(tonumber(ARGV[11]), tonumber(ARGV[10]) * 2 ^ (times - 1))
  text = cjson.encode({since_ms = since, until_ms = now + ms, times = times, reason = reason})
  redis.call('HSET', KEYS[1], ARGV[2], text)
  redis.call('DEL', KEYS[2])
  if times == 1 then told('opened', reason) end
  return {2, text}
end
if gate and gate.until_ms > now and not gate.probe then return {2, text} end
if ARGV[3] == '1' then
  redis.call('HDEL', KEYS[1], ARGV[2])
  if gate then
    redis.call('DEL', KEYS[2])
    told('closed', 'a call went well')
  elseif redis.call('EXISTS', KEYS[2]) == 1 then
    redis.call('HSET', KEYS[2], 'row', 0)
  end
  return {0}
end
if gate then return close(gate.since_ms, gate.times + 1, gate.reason) end
local r = redis.call('HMGET', KEYS[2], 'row', 'calls', 'bad', 'start_ms', 'reports', 'last_ms')
if r[6] and now - tonumber(r[6]) >= tonumber(ARGV[9]) then r = {} end -- long ago
local reports = r[5] or ''
if string.find(reports, ARGV[4], 1, true) then return {1, tonumber(r[1])} end -- this very report, sent twice by the client
local good = tonumber(ARGV[5])
local row, calls, bad, start = tonumber(r[1] or '0') + 1, tonumber(r[2] or '0'), tonumber(r[3] or '0'), tonumber(r[4] or now)
if good > 0 then row = 1 end
if now - start >= tonumber(ARGV[9]) then calls, bad, start = 0, 0, now end
calls, bad = calls + good + 1, bad + 1
if row >= tonumber(ARGV[6]) then return close(now, 1, row .. ' calls in a row failed') end
if calls >= tonumber(ARGV[7]) and bad * 100 >= calls * tonumber(ARGV[8]) then
  return close(now, 1, bad .. ' of ' .. calls .. ' calls failed')
end
redis.call('HSET', KEYS[2], 'row', row, 'calls', calls, 'bad', bad, 'start_ms', start, 'last_ms', now,
  'reports', string.sub(ARGV[4] .. ',' .. reports, 1, 512))
redis.call('PEXPIRE', KEYS[2], ARGV[9])
return {1, row}
