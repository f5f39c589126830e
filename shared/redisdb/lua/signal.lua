-- Put something into an execution's inbox. Needs no lease: who holds it finds the signal at its next script.
-- KEYS: 1 record  2 inbox  3 history  4 due  5 outbox times  6 outbox entries  7 news
-- ARGV: 1 now  2 execution id  3 tenant  4 signal id  5 kind  6 signal text  7 nonce  8 terminal statuses  9 entries at most
--       10 ms until the watchdog looks  11 bytes of all signals at most
-- Returns: {0 ACCEPTED, entry or '' (a live holder will find it)} | {1 DUPLICATE} | {2 TERMINAL, status} | {3 ABSENT} | {4 FULL} (never for a cancel)
--@include clock
--@include pay
--@include outbox
--@include news
local r = redis.call('HMGET', KEYS[1], 'tenant', 'status', 'inbox', 'lease_until', 'segment', 'trace', 'inbox_bytes')
if r[1] ~= ARGV[3] then return {3} end -- another tenant's is as good as none
if redis.call('HEXISTS', KEYS[2], 'id:' .. ARGV[4]) == 1 then return {1} end
if string.find(ARGV[8], ',' .. r[2] .. ',', 1, true) then return {2, r[2]} end
local position = tonumber(r[3]) + 1
local now = clock(ARGV[1])
-- When it came is put behind what the caller wrote: decoding the text here would change numbers in it.
local text = string.sub(ARGV[6], 1, -2) .. ',"at_ms":' .. string.format('%.0f', now) .. '}'
local bytes = tonumber(r[7] or '0') + #text
-- A cancel fits always: there is one, and nobody may keep an execution running by filling its inbox.
if ARGV[5] ~= 'cancel' and (position > tonumber(ARGV[9]) or bytes > tonumber(ARGV[11])) then return {4} end
redis.call('HSET', KEYS[2], position, text, 'id:' .. ARGV[4], position)
redis.call('HSET', KEYS[1], 'inbox', position, 'inbox_bytes', bytes)
local line = redis.call('XADD', KEYS[3], '*', 'l',
  cjson.encode({event = 'signal.received', detail = {kind = ARGV[5], position = position}}))
news(KEYS[7], KEYS[1], line, line)
if tonumber(r[4] or '0') > now then
  return {0, ''}
end
redis.call('HINCRBY', KEYS[1], 'epoch', 1)
redis.call('ZADD', KEYS[4], now + tonumber(ARGV[10]), ARGV[2])
local message = {execution = ARGV[2], segment = tonumber(r[5]), nonce = ARGV[7], reason = 'signal', trace = r[6] or '',
  cost = pay(KEYS[1], now, 0, ARGV[5] == 'cancel')}
return {0, enqueue(KEYS[1], KEYS[5], KEYS[6], now, message)}
