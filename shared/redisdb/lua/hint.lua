-- Somebody says that an execution should be looked at: due now, if that can move it, and once for a message.
-- KEYS: 1 record  2 due  3 seen (of this message and execution; only looked at with ARGV 6)
-- ARGV: 1 now  2 execution id  3 tenant of who says it ('' = the engine itself)  4 segment meant (-1 = whichever is current)
--       5 terminal statuses  6 '1' if the message counts once  7 nonce of this call  8 ms that the message is remembered
-- Returns: {0 OK, segment} | {1 STALE, segment} | {2 SEEN, segment} | {3 HELD, segment} | {4 TERMINAL} | {5 ABSENT} | {6 WAITING, segment}
--@include clock
local r = redis.call('HMGET', KEYS[1], 'tenant', 'status', 'segment', 'lease_until', 'wake_ms', 'inbox', 'seen',
  'deadline_ms')
if not r[2] then return {5} end
if ARGV[3] ~= '' and r[1] ~= ARGV[3] then return {5} end -- another tenant's is as good as none
if string.find(ARGV[5], ',' .. r[2] .. ',', 1, true) then return {4} end
local now, segment, asked = clock(ARGV[1]), tonumber(r[3]), tonumber(ARGV[4])
if asked >= 0 and asked < segment then return {1, segment} end
-- What a hint cannot move keeps its due time; one that fell off the index is put back (NX), for nobody else would find it.
local held_until, wake = tonumber(r[4] or '0'), tonumber(r[5] or '0')
if held_until > now then
  redis.call('ZADD', KEYS[2], 'NX', held_until + 500, ARGV[2])
  return {3, segment}
end
-- No hint ends a wait, and acquire would refuse. A signal behind the last one seen, or a wait whose time has come, is another matter.
local deadline = tonumber(r[8] or '0')
local rests = r[2] == 'PAUSED' or (r[2] == 'AWAITING_CONFIRMATION' and (deadline == 0 or deadline > now))
if r[6] == r[7] and (rests or (r[2] == 'SUSPENDED' and wake > now)) then
  redis.call('ZADD', KEYS[2], 'NX', math.max(now, wake) + 2000, ARGV[2])
  return {6, segment}
end
if ARGV[6] == '1' then
  local nonce, till = string.match(redis.call('GET', KEYS[3]) or '', '^(%x+) (%d+)$')
  if nonce and tonumber(till) > now then
    if nonce ~= ARGV[7] then return {2, segment} end -- our own call, sent twice by the client, gets its first answer
  else
    redis.call('SET', KEYS[3], ARGV[7] .. ' ' .. string.format('%.0f', now + tonumber(ARGV[8])), 'PX', ARGV[8])
  end
end
redis.call('ZADD', KEYS[2], 'LT', now, ARGV[2])
return {0, segment}
