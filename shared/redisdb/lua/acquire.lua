-- Take the lease of an execution and load what its next segment needs: never the whole record.
-- KEYS: 1 record  2 cells  3 due  4 inbox  5 history  6 outbox times  7 outbox entries  8 news
-- ARGV: 1 now  2 execution id  3 owner (random, behind its place)  4 lease ms  5 segment of the message (-1 = whichever is current)
--       6 terminal statuses (comma before and after each)  7 what woke it (JSON)  8 nonce  9 longest delay of a message, ms
--       10 ms until one that rests is looked at
-- Returns: {0 OK, now, fence, ver, lease_until, seen, header, cells, busy (flat: field, value), results (flat),
--           signals (flat: position, text), account {allow, used, held, held_ms, floor, tail}, empty if nobody counts,
--           1 if somebody watches}
--   | {1 TERMINAL, status, 1 if somebody watches} | {2 STALE, current segment} | {3 PAUSED} | {4 WAITING} | {5 NOT_DUE, ms left, next message of the wait or ''}
--   | {6 HELD, ms left} | {7 ABSENT}
--@include clock
--@include letters
--@include news
local x = KEYS[1]
-- First what is decided by, then what else the header and the account of the reply hold: HEADER and ACCOUNT in wire.py.
local r = redis.call('HMGET', x, 'status', 'segment', 'owner', 'lease_until', 'wake_ms', 'inbox', 'seen', 'fence', 'ver', 'timed',
  'need', 'armed_ms', 'trace', 'watched_ms', 'deadline_ms', 'stalled', 'id', 'tenant', 'plan', 'phase', 'reason', 'cause',
  'created_ms', 'notes', 'allow', 'used', 'held', 'held_ms', 'floor', 'tail')
if not r[1] then return {7} end
local now = clock(ARGV[1])
local status, segment = r[1], tonumber(r[2])
local watched = r[14] and tonumber(r[14]) > now and 1 or 0
local inbox, seen = tonumber(r[6]), tonumber(r[7])
if string.find(ARGV[6], ',' .. status .. ',', 1, true) then return {1, status, watched} end
local asked = tonumber(ARGV[5])
if asked >= 0 and asked < segment then return {2, segment} end
local lease_until, fence, ver, stalled = tonumber(r[4] or '0'), tonumber(r[8]), tonumber(r[9]), tonumber(r[16] or '0')
local again = r[3] == ARGV[3] and lease_until > now -- our own acquire, sent twice by the client
if not again then
  local rests = status == 'PAUSED' or (status == 'AWAITING_CONFIRMATION' and (tonumber(r[15]) == 0 or tonumber(r[15]) > now))
  if rests and inbox == seen then
    -- Nobody but a person moves it: whatever woke it must not have it looked at again and again.
    local look = tonumber(ARGV[10])
    if status ~= 'PAUSED' and tonumber(r[15]) > 0 then look = math.min(look, tonumber(r[15]) - now) end
    if lease_until <= now then redis.call('ZADD', KEYS[3], 'XX', 'GT', now + look, ARGV[2]) end
    return {3}
  end
  if status == 'SUSPENDED' and inbox == seen and tonumber(r[5] or '0') > now then
--@include pay
--@include outbox
    -- Whatever woke it too early (a hint, a dead letter) lowered its due time: left there, it would be re-sent until the wait ends.
    if lease_until <= now then redis.call('ZADD', KEYS[3], 'XX', 'GT', tonumber(r[5]) + 2000, ARGV[2]) end
    if r[10] ~= '1' then return {4} end
    local left = tonumber(r[5]) - now
    if asked < segment or left <= 2000 or tonumber(r[12] or '0') > now + 2000 then return {5, left, ''} end
    -- A wait longer than a message may be delayed: this message was one link of the chain, and hangs in the next.
    local at = math.min(tonumber(r[5]), now + tonumber(ARGV[9]))
    redis.call('HSET', x, 'armed_ms', at)
    local message = {execution = ARGV[2], segment = segment, nonce = ARGV[8], reason = 'waiting on', trace = r[13] or '',
      not_before_ms = at}
    return {5, left, enqueue(x, KEYS[6], KEYS[7], now, message)}
  end
  if lease_until > now then
    -- Unless the holder was an earlier process at our own address, and so is dead (shared/places.py).
    local place, number = string.match(ARGV[3], '^(%x+)%.(%d+)%.')
    local theirs, before = string.match(r[3], '^(%x+)%.(%d+)%.')
    if not place or place ~= theirs or tonumber(before) >= tonumber(number) then return {6, lease_until - now} end
  end
  lease_until, fence, ver, stalled = now + tonumber(ARGV[4]), fence + 1, ver + 1, stalled + 1
  redis.call('HSET', x, 'fence', fence, 'ver', ver, 'stalled', stalled, 'owner', ARGV[3], 'lease_until', lease_until)
  redis.call('ZADD', KEYS[3], lease_until + 500, ARGV[2])
  local line = redis.call('XADD', KEYS[5], '*', 'l', '{"event":"segment.started","detail":{"segment":' .. r[2] ..
    ',"fence":' .. fence .. ',"cause":' .. ARGV[7] .. '}}')
  news(KEYS[8], x, line, line)
end
local header = {r[17], r[18], r[19], r[1], r[20], r[21], r[22], r[2], r[23], r[15], stalled, r[13], r[24]}
local account = r[25] and {r[25], r[26], r[27], r[28], r[29], r[30]} or {}
local cells = redis.call('GET', KEYS[2])
local function pick(fields)
  local found = {}
  for start = 1, #fields, 500 do
    local some = {unpack(fields, start, math.min(start + 499, #fields))}
    for i, value in ipairs(redis.call('HMGET', x, unpack(some))) do
      if value then
        found[#found + 1] = some[i]
        found[#found + 1] = value
      end
    end
  end
  return found
end
local busy, at = {}, string.find(cells, '[ibsuwg]')
while at do
  busy[#busy + 1] = 'i:' .. (at - 1)
  busy[#busy + 1] = 'f:' .. (at - 1)
  busy[#busy + 1] = 'w:' .. (at - 1)
  at = string.find(cells, '[ibsuwg]', at + 1)
end
local wanted = {}
if r[11] then
  for cell in string.gmatch(r[11], '%d+') do wanted[#wanted + 1] = 'r:' .. cell end
end
return {0, now, fence, ver, lease_until, seen, header, cells, pick(busy), pick(wanted), letters(KEYS[4], seen, inbox), account,
  watched}
