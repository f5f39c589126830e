-- Store a new execution, its first message and its place in the indexes; once for an id, once for an Idempotency-Key.
-- KEYS: 1 record  2 cells  3 plan  4 history  5 due  6 outbox times  7 outbox entries  8 listing  9 idempotency
-- ARGV: 1 now ('' = server clock)  2 execution id  3 request hash  4 '1' if an Idempotency-Key was given  5 its life in ms
--       6 base ms until the watchdog looks  7 nonce  8 listing member  9 plan bytes  10 cells  11 trace  12 time-out of the whole in ms (0 = none)
--       13... n, (field, value)*n of the header; then n, line*n of the history; then n, (id, entry)*n of commands for the outbox
-- Returns: {0 CREATED, entry} | {1 EXISTS, execution id} | {2 CONFLICT} | {3 BURIED}
--@include clock
--@include outbox
local now = clock(ARGV[1])
local first = queued(KEYS[7], ARGV[2], 0, ARGV[7])
if first then return {0, first} end -- this very call, sent twice by the client
if ARGV[4] == '1' then
  local known = redis.call('HMGET', KEYS[9], 'hash', 'id')
  if known[1] then
    if known[1] ~= ARGV[3] then return {2} end
    return {1, known[2]}
  end
end
if redis.call('HEXISTS', KEYS[1], 'buried') == 1 then return {3} end
if redis.call('EXISTS', KEYS[1]) == 1 then return {1, ARGV[2]} end
local at = 13
local count = tonumber(ARGV[at])
local fields = {'created_ms', now, 'updated_ms', now, 'ver', 0, 'fence', 0, 'epoch', 0, 'segment', 0, 'inbox', 0, 'seen', 0,
  'deadline_ms', tonumber(ARGV[12]) > 0 and now + tonumber(ARGV[12]) or 0}
for position = at + 1, at + 2 * count do fields[#fields + 1] = ARGV[position] end
redis.call('HSET', KEYS[1], unpack(fields))
at = at + 1 + 2 * count
count = tonumber(ARGV[at])
for position = at + 1, at + count do redis.call('XADD', KEYS[4], '*', 'l', ARGV[position]) end
put_commands(KEYS[6], KEYS[7], now, at + 1 + count)
redis.call('SET', KEYS[2], ARGV[10])
redis.call('SET', KEYS[3], ARGV[9])
redis.call('ZADD', KEYS[5], now + tonumber(ARGV[6]), ARGV[2])
redis.call('ZADD', KEYS[8], 0, ARGV[8])
if ARGV[4] == '1' then
  redis.call('HSET', KEYS[9], 'hash', ARGV[3], 'id', ARGV[2])
  redis.call('PEXPIRE', KEYS[9], ARGV[5])
end
local message = {execution = ARGV[2], segment = 0, nonce = ARGV[7], reason = 'created', trace = ARGV[11]}
return {0, enqueue(KEYS[6], KEYS[7], now, message)}
