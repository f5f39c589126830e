-- Give a slot back or leave the queue; without a member, only free what has run out. What is free goes to those who wait.
-- KEYS: 1 holders  2 queue  3 facts  4 sweep times  5 grants
-- ARGV: 1 now  2 identity  3 member ('' = nobody's)  4 unix ms, see 5
--       5 any: what was taken for no longer than 4 (0 = whatever) | queued: the same, but a slot comes back with time only
--         | exact: the slot that is kept until 4
--       6 ms that a grant is kept  7 ms until a relay tells
-- Returns: {grant, ...} (those that this call made)
--@include clock
--@include slots
local now = clock(ARGV[1])
local member, until_ms = ARGV[3], tonumber(ARGV[4])
free(KEYS[1], now)
if member ~= '' then
  local held = tonumber(redis.call('ZSCORE', KEYS[1], member) or '0')
  local ours = ARGV[5] == 'exact' and held == until_ms or ARGV[5] == 'any' and (until_ms == 0 or held <= until_ms)
  if ours then redis.call('ZREM', KEYS[1], member) end
  local fact = ARGV[5] ~= 'exact' and redis.call('HGET', KEYS[3], 'm:' .. member)
  if fact and (until_ms == 0 or tonumber(cjson.decode(fact)[4]) <= until_ms) then
    redis.call('ZREM', KEYS[2], member)
    redis.call('HDEL', KEYS[3], 'm:' .. member)
  end
end
local found = promote(KEYS[1], KEYS[2], KEYS[3], KEYS[5], now, ARGV[2], tonumber(ARGV[6]), tonumber(ARGV[7]))
rearm(KEYS[1], KEYS[2], KEYS[3], KEYS[4], now, ARGV[2])
return found
