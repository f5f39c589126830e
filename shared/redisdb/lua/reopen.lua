-- Leave a terminal status, on a person's word: never by a wake-up. Kills the writes of whoever may still hold the record.
-- The deadline of the whole goes too: a person has taken over, and a plan that timed out would time out again at once.
-- KEYS: 1 record  2 cells  3 history  4 due  5 outbox times  6 outbox entries  7 retire  8 news  9 tally  10 waiting
--       11... texts that are stored apart (see apart.lua)
-- ARGV: 1 now  2 execution id  3 tenant  4 ver that the person saw  5 statuses it may be in (commas around)  6 base ms  7 nonce
--       8... the changes, with an empty part behind them (see write.lua)
-- Returns: {0 OK, entry, ver} | {1 ILLEGAL, status} | {2 CONFLICT, ver} | {3 ABSENT}
--@include clock
--@include pay
--@include outbox
--@include log
local PARTS = 8
--@include write
--@include apart
--@include news
--@include tally
local r, there = read(KEYS[1], {'tenant', 'status', 'ver', 'segment', 'trace', 'used', 'held'})
if r[1] ~= ARGV[3] then return {3} end
local first = queued(KEYS[6], ARGV[2], r[4], ARGV[7])
if first then return {0, first, tonumber(r[3])} end -- this very call, sent twice by the client
if r[3] ~= ARGV[4] then return {2, tonumber(r[3])} end
if not string.find(ARGV[5], ',' .. r[2] .. ',', 1, true) then return {1, r[2]} end
local now = clock(ARGV[1])
local fields = {}
local at, line, latest, status = write(KEYS[2], KEYS[3], true, fields, there)
put(KEYS[1], fields)
write_apart(KEYS[1], KEYS[5], KEYS[6], now, at, true)
news(KEYS[8], KEYS[1], line, latest)
if status then tally(KEYS[9], KEYS[10], ARGV[2], now, r[2], status) end
redis.call('HINCRBY', KEYS[1], 'fence', 1)
redis.call('HINCRBY', KEYS[1], 'epoch', 1)
local ver = redis.call('HINCRBY', KEYS[1], 'ver', 1)
redis.call('HSET', KEYS[1], 'owner', '', 'lease_until', 0, 'wake_ms', 0, 'stalled', 0, 'tries', 0, 'deadline_ms', 0,
  'updated_ms', now)
-- What it had left went back to its tenant when it ended: it asks for more before it sends a message.
if r[6] then redis.call('HSET', KEYS[1], 'allow', tonumber(r[6]) + tonumber(r[7])) end
redis.call('HDEL', KEYS[1], 'ended_ms')
redis.call('ZREM', KEYS[7], ARGV[2])
redis.call('ZADD', KEYS[4], now + tonumber(ARGV[6]), ARGV[2])
local message = {execution = ARGV[2], segment = tonumber(r[4]), nonce = ARGV[7], reason = 'reopened', trace = r[5] or ''}
return {0, enqueue(KEYS[1], KEYS[5], KEYS[6], now, message), ver}
