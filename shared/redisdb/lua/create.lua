-- Store a new execution, its first message and its place in the indexes; once for an id, once for an Idempotency-Key.
-- KEYS: 1 record  2 cells  3 plan  4 history  5 due  6 outbox times  7 outbox entries  8 listing  9 idempotency  10 news  11 tally
--       12 waiting  13 accounts of its tenant, if what it may cost was asked for in this very flight
-- ARGV: 1 now ('' = server clock)  2 execution id  3 request hash  4 '1' if an Idempotency-Key was given
--       5 base ms until the watchdog looks  6 nonce  7 listing member  8 plan bytes  9 cells  10 trace
--       11 time-out of the whole in ms (0 = none)
--       12 of one that a person must confirm first: ms until it is looked at; it gets no message ('' = it gets one, and begins)
--       13... n, (field, value)*n of the header; then n, line*n of the history; then n, (id, entry)*n of commands for the outbox
-- Returns: {0 CREATED, entry or ''} | {1 EXISTS, execution id} | {2 CONFLICT} | {3 BURIED} | {4 UNPAID: it was not admitted}
--@include clock
--@include pay
--@include outbox
--@include news
--@include tally
local now = clock(ARGV[1])
local there = redis.call('HMGET', KEYS[1], 'id', 'buried')
if there[1] then
  local first = queued(KEYS[7], ARGV[2], 0, ARGV[6])
  if first then return {0, first} end -- this very call, sent twice by the client
end
if ARGV[4] == '1' then
  local known = redis.call('HMGET', KEYS[9], 'hash', 'id')
  if known[1] then
    if known[1] ~= ARGV[3] then return {2} end
    return {1, known[2]}
  end
end
if there[2] then return {3} end
if there[1] then return {1, ARGV[2]} end
if KEYS[13] and redis.call('HEXISTS', KEYS[13], ARGV[2]) == 0 then return {4} end
local deadline, count, given = tonumber(ARGV[11]), tonumber(ARGV[13]), {}
local fields = {'created_ms', now, 'updated_ms', now, 'ver', 0, 'fence', 0, 'epoch', 0, 'segment', 0, 'inbox', 0, 'seen', 0,
  'deadline_ms', deadline > 0 and now + deadline or 0}
local at = 14 + 2 * count
for position = 14, at - 1, 2 do
  fields[#fields + 1], fields[#fields + 2] = ARGV[position], ARGV[position + 1]
  given[ARGV[position]] = ARGV[position + 1]
end
if ARGV[4] == '1' then
  fields[#fields + 1], fields[#fields + 2] = 'idem', KEYS[9]
  redis.call('HSET', KEYS[9], 'hash', ARGV[3], 'id', ARGV[2]) -- purge deletes it with the record
end
local rests = ARGV[12] ~= '' and (deadline > 0 and math.min(deadline, tonumber(ARGV[12])) or tonumber(ARGV[12]))
local id, cost = ARGV[2] .. '-0-' .. ARGV[6], nil
if not rests then
  local function field(name, value) fields[#fields + 1], fields[#fields + 2] = name, value end
  field('queued', id)
  if given.allow then -- as pay would, but nothing has been used
    local held, held_ms
    cost, held, held_ms = price(tonumber(given.allow), 0, 0, 0, tonumber(given.floor), tonumber(given.tail), now, 0,
      given.phase == 'undo')
    if cost > 0 then
      field('used', 1)
      field('held', held)
      field('held_ms', held_ms)
    end
  end
end
redis.call('HSET', KEYS[1], unpack(fields))
redis.call('MSET', KEYS[2], ARGV[9], KEYS[3], ARGV[8])
tally(KEYS[11], KEYS[12], ARGV[2], now, false, given.status)
count = tonumber(ARGV[at])
local begin, latest
for position = at + 1, at + count do
  latest = redis.call('XADD', KEYS[4], '*', 'l', ARGV[position])
  begin = begin or latest
end
news(KEYS[10], KEYS[1], begin, latest)
at = at + 1 + count
put_commands(KEYS[6], KEYS[7], now, at + 1, at + 2 * tonumber(ARGV[at]))
redis.call('ZADD', KEYS[5], now + (rests or tonumber(ARGV[5])), ARGV[2])
redis.call('ZADD', KEYS[8], 0, ARGV[7])
if rests then return {0, ''} end
local message = {execution = ARGV[2], segment = 0, reason = 'created', trace = ARGV[10], cost = cost}
return {0, queue(KEYS[6], KEYS[7], now, id, message)}
