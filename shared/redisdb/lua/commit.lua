-- Store what a segment found out, and how it goes on: with the next intents, or by leaving, suspending or ending.
-- KEYS: 1 record  2 cells  3 history  4 due  5 outbox times  6 outbox entries  7 inbox  8 retire
--       9 dead letters' times  10 dead letters  11 news  12 tally  13 waiting
--       14... outputs that are stored apart (see write.lua)
-- ARGV: 1 now  2 execution id  3 owner  4 ver of the record this was computed from  5 inbox position seen
--       6 '1' if something came of the segment  7 what follows: none | intents | leave | suspend | end
--       8 due or wake-up: ms from now until the watchdog looks (leave, suspend), retention ms (end)
--       9 wake time, unix ms (suspend; 0 = none)  10 '1' if time alone ends the wait  11 nonce ('' = no message)
--       12 reason of the message  13 not before, unix ms (0 = at once)  14 trace
--       15 a dead letter about the execution itself ('' = none; see bury.lua)  16 dead letters at most
--       17... kept part, then the part that is dropped when the inbox has moved (see write.lua)
-- Returns: {0 OK, ver, entry or '', 1 if somebody watches} | {1 FLAGS, ver, signals (flat)} | {2 LOST}
--   | {3 ALREADY, first code, ver, entry or '', signals, 1 if somebody watches}
-- A LOST commit has stored nothing. FLAGS has stored the kept part, unless that was empty.
--@include clock
--@include pay
--@include outbox
--@include log
--@include write
--@include letters
--@include bury
--@include news
--@include tally
local x, id = KEYS[1], ARGV[2]
local r = redis.call('HMGET', x, 'owner', 'ver', 'inbox', 'seen', 'last', 'segment', 'last_entry', 'watched_ms',
  'status')
if not r[1] then return {2} end
local mark = ARGV[3] .. ':' .. ARGV[4]
local ver, inbox, seen = tonumber(r[2]), tonumber(r[3]), tonumber(ARGV[5])
local now = clock(ARGV[1])
local watched = tonumber(r[8] or '0') > now and 1 or 0
-- The version of the first answer, not of the record: somebody else may own it by now, and must not be written over.
if r[5] == mark .. ':0' then return {3, 0, tonumber(ARGV[4]) + 1, r[7] or '', {}, watched} end
if r[5] == mark .. ':1' then return {3, 1, tonumber(ARGV[4]) + 1, '', letters(KEYS[7], seen, inbox), watched} end
if r[1] ~= ARGV[3] or ver ~= tonumber(ARGV[4]) then return {2} end
local follows = ARGV[7]
local moved = inbox > seen and follows ~= 'none'
local empty = ARGV[17] == '0' and ARGV[18] == '0' and ARGV[19] == '0' and ARGV[20] == '0' and ARGV[21] == '0'
if moved and empty and ARGV[6] == '0' and seen <= tonumber(r[4]) then return {1, ver, letters(KEYS[7], seen, inbox)} end
local at, first, last, status = write(x, KEYS[2], KEYS[3], KEYS[5], KEYS[6], now, 17)
ver = ver + 1
local code = moved and 1 or 0
redis.call('HSET', x, 'ver', ver, 'updated_ms', now, 'last', mark .. ':' .. code, 'last_entry', '')
if seen > tonumber(r[4]) then redis.call('HSET', x, 'seen', seen) end
if ARGV[6] == '1' then redis.call('HSET', x, 'stalled', 0, 'tries', 0) end
if moved or follows == 'none' then
  news(KEYS[11], id, first, last)
  if status then tally(KEYS[12], KEYS[13], id, now, r[9], status) end
  if moved then return {1, ver, letters(KEYS[7], seen, inbox)} end
  return {0, ver, '', watched}
end
local _, second, latest, after = write(x, KEYS[2], KEYS[3], KEYS[5], KEYS[6], now, at)
news(KEYS[11], id, first or second, latest or last)
if after or status then tally(KEYS[12], KEYS[13], id, now, r[9], after or status) end
if follows == 'intents' then return {0, ver, '', watched} end
-- The segment is over: its number rises here and not in acquire, so that a redelivery after a crash still runs.
local segment = tonumber(r[6]) + 1
redis.call('HSET', x, 'owner', '', 'lease_until', 0, 'segment', segment, 'epoch', 0, 'wake_ms', ARGV[9], 'timed', ARGV[10],
  'armed_ms', ARGV[11] ~= '' and ARGV[13] or 0)
if follows == 'end' then
  redis.call('ZREM', KEYS[4], id)
  redis.call('ZADD', KEYS[8], now + tonumber(ARGV[8]), id)
  redis.call('HSET', x, 'ended_ms', now)
  return {0, ver, '', watched}
end
redis.call('ZADD', KEYS[4], now + tonumber(ARGV[8]), id)
if ARGV[15] ~= '' then bury(KEYS[9], KEYS[10], now, ARGV[15], ARGV[16]) end
if ARGV[11] == '' then return {0, ver, '', watched} end
local message = {execution = id, segment = segment, nonce = ARGV[11], reason = ARGV[12], trace = ARGV[14],
  not_before_ms = tonumber(ARGV[13])}
local entry = enqueue(x, KEYS[5], KEYS[6], now, message)
redis.call('HSET', x, 'last_entry', entry)
return {0, ver, entry, watched}
