-- Store what a segment found out, and how it goes on: with the next intents, or by leaving, suspending or ending.
-- KEYS: 1 record  2 cells  3 history  4 inbox  5 news
--       6 due  7 outbox times  8 outbox entries  9 tally  10 waiting  11 retire  12 dead letters' times  13 dead letters
--         (most commits need none of 6 to 13, and have none: they only go on, and no status moves)
--       14... texts that are stored apart (see apart.lua)
-- ARGV: 1 now  2 owner  3 ver of the record this was computed from  4 inbox position seen  5 '1' if something came of the segment
--       6 what follows: none | intents | leave | suspend | end
--       7... both parts: the kept one, and the one that is dropped when the inbox has moved (see write.lua)
--       behind them, of leave, suspend and end:
--         ms from now until the watchdog looks (leave, suspend), or the retention in ms (end)
--       and of leave and suspend:
--         wake time, unix ms (suspend; 0 = none), '1' if time alone ends the wait, nonce ('' = no message), reason of the message,
--         not before, unix ms (0 = at once), trace, a dead letter about the execution itself ('' = none; see bury.lua),
--         dead letters at most
-- Returns: {0 OK, ver, entry or '', 1 if somebody watches} | {1 FLAGS, ver, signals (flat)} | {2 LOST}
--   | {3 ALREADY, first code, ver, entry or '', signals, 1 if somebody watches}
-- A LOST commit has stored nothing. FLAGS has stored the kept part, unless that was empty.
--@include news
local PARTS, x = 7, KEYS[1]
-- The short way is that of most commits, and stores what the long way would (tests/lua/test_commit.py): no status moves, there is one
-- result at most, and nobody has written meanwhile. It makes no function, no table and hardly a number (docs/performance.md).
if not KEYS[6] then
  local once, others, over, more, kept, next_, lines, further = string.byte(ARGV[PARTS], 1, 8)
  local r = once < 2 and others == 0 and kept < 2 and next_ < 2 and redis.call('HMGET', x, 'owner', 'ver', 'inbox', 'seen',
    'watched_ms', 'stalled', 'tries', ARGV[8] or '')
  if r and r[1] == ARGV[2] and r[2] == ARGV[3] and r[3] == ARGV[4] and r[4] == ARGV[4] and not (once == 1 and r[8]) then
    local at, first, last = 8 + 2 * (once + over + more), nil, nil
    if kept + next_ > 0 then
      local offset, run = ARGV[at], ARGV[at + 1]
      if kept + next_ == 2 then
        local gap, second = tonumber(ARGV[at + 2]) - tonumber(offset), ARGV[at + 3]
        if gap >= 0 and gap <= #run then
          run = string.sub(run, 1, gap) .. second .. string.sub(run, gap + #second + 1)
        else
          redis.call('SETRANGE', KEYS[2], offset, run)
          offset, run = ARGV[at + 2], second
        end
      end
      redis.call('SETRANGE', KEYS[2], offset, run)
      at = at + 2 * (kept + next_)
    end
    for line = at, at + lines + further - 1 do
      last = redis.call('XADD', KEYS[3], '*', 'l', ARGV[line])
      first = first or last
    end
    -- A line's id has the server's time before its '-', thirteen digits until the year 2286: to ask for it costs half a line.
    local now = ARGV[1] ~= '' and ARGV[1] or first and string.sub(first, 1, 13)
    if not now then
      local time = redis.call('TIME')
      now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
    end
    local ver = tonumber(ARGV[3]) + 1
    redis.call('HSET', x, 'ver', ver, 'last', ARGV[2] .. ':' .. ARGV[3] .. ':0', 'updated_ms', now,
      unpack(ARGV, 8, 7 + 2 * (once + over + more)))
    if ARGV[5] == '1' and (r[6] and r[6] ~= '0' or r[7] and r[7] ~= '0') then redis.call('HSET', x, 'stalled', 0, 'tries', 0) end
    news(KEYS[5], x, first, last)
    return {0, ver, '', r[5] and tonumber(r[5]) > tonumber(now) and 1 or 0}
  end
end
--@include clock
--@include pay
--@include outbox
--@include log
--@include write
--@include apart
--@include letters
--@include bury
--@include tally
local owner, follows, whole = ARGV[2], ARGV[6], KEYS[6]
local names = {'owner', 'ver', 'inbox', 'seen', 'last', 'watched_ms', 'stalled', 'tries'}
if whole then names[9], names[10] = 'segment', 'status' end
local r, there = read(x, names)
if not r[1] then return {2} end
local mark, watched = owner .. ':' .. ARGV[3], 0
if r[6] and tonumber(r[6]) > clock(ARGV[1]) then watched = 1 end
if r[1] ~= owner or r[2] ~= ARGV[3] then
  -- The version of the first answer, not of the record: somebody else may own it by now, and must not be written over.
  if r[5] == mark .. ':0' then
    local entry = (follows == 'leave' or follows == 'suspend') and redis.call('HGET', x, 'last_entry')
    return {3, 0, tonumber(ARGV[3]) + 1, entry or '', {}, watched}
  end
  if r[5] ~= mark .. ':1' then return {2} end
  return {3, 1, tonumber(ARGV[3]) + 1, '', letters(KEYS[4], tonumber(ARGV[4]), tonumber(r[3])), watched}
end
local moved, ahead = false, false
if r[3] ~= ARGV[4] or r[4] ~= ARGV[4] then
  local seen = tonumber(ARGV[4])
  moved, ahead = tonumber(r[3]) > seen and follows ~= 'none', seen > tonumber(r[4])
end
-- What is read for FLAGS is the same before and behind the writes: they do not touch the inbox.
local signals = moved and letters(KEYS[4], tonumber(ARGV[4]), tonumber(r[3]))
if moved and ARGV[5] == '0' and not ahead and nothing() then return {1, tonumber(r[2]), signals} end
local ver = tonumber(ARGV[3]) + 1
local fields = {'ver', ver, 'last', mark .. (moved and ':1' or ':0'), 'updated_ms', ''}
local function field(name, value)
  fields[#fields + 1] = name
  fields[#fields + 1] = value
end
if ahead then field('seen', ARGV[4]) end
if ARGV[5] == '1' and (r[7] and r[7] ~= '0' or r[8] and r[8] ~= '0') then
  field('stalled', 0)
  field('tries', 0)
end
local at, first, last, status = write(KEYS[2], KEYS[3], not moved, fields, there)
local now, id, entry = clock(ARGV[1]), string.match(x, '[^:]+$'), ''
fields[6] = now
at = write_apart(x, KEYS[7], KEYS[8], now, at, not moved)
local over = not moved and follows ~= 'none' and follows ~= 'intents'
local waits = over and follows ~= 'end'
local nonce, not_before, segment = waits and ARGV[at + 3] or '', waits and ARGV[at + 5], nil
if over then
  -- The segment is over: its number rises here and not in acquire, so that a redelivery after a crash still runs.
  segment = tonumber(r[9]) + 1
  field('owner', '')
  field('lease_until', 0)
  field('segment', segment)
  field('epoch', 0)
  field('wake_ms', waits and ARGV[at + 1] or 0)
  field('timed', waits and ARGV[at + 2] or 0)
  field('armed_ms', nonce ~= '' and not_before or 0)
  if not waits then field('ended_ms', now) end
end
put(x, fields) -- before a message is paid: what that may cost depends on the phase
if waits then
  redis.call('ZADD', KEYS[6], now + tonumber(ARGV[at]), id)
  if ARGV[at + 7] ~= '' then bury(KEYS[12], KEYS[13], now, ARGV[at + 7], ARGV[at + 8]) end
  if nonce ~= '' then
    entry = enqueue(x, KEYS[7], KEYS[8], now, {execution = id, segment = segment, nonce = nonce, reason = ARGV[at + 4],
      trace = ARGV[at + 6], not_before_ms = tonumber(not_before)})
  end
  redis.call('HSET', x, 'last_entry', entry)
elseif over then
  redis.call('ZREM', KEYS[6], id)
  redis.call('ZADD', KEYS[11], now + tonumber(ARGV[at]), id)
end
news(KEYS[5], x, first, last)
if status then tally(KEYS[9], KEYS[10], id, now, r[10], status) end
if moved then return {1, ver, signals} end
return {0, ver, entry, watched}
