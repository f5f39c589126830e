-- Delete all of a finished execution whose retention is over. The archiver has copied it before.
-- KEYS: 1 record  2 cells  3 plan  4 history  5 inbox  6 listing  7 retire  8 dead letters' times  9 dead letters
--       10 tally  11 waiting  12... what else goes: its Idempotency-Key's, outputs that are stored apart, logs of its steps
-- ARGV: 1 now  2 execution id  3 tenant (the listing is that tenant's)  4 listing member  5 terminal statuses
--       6 what the ids of its dead letters begin with  7 the cells whose outputs are among KEYS, as the record names them
--       8 the cells whose logs are, likewise
-- Returns: {0 PURGED} | {1 NOT_DUE} (or it has other outputs by now) | {2 RUNNING, status} (reopened meanwhile, or a failover kept
--   the index and not the end: it leaves the index, and comes back with its end) | {3 ABSENT} (nothing to delete; never a tombstone)
--@include clock
--@include tally
local r = redis.call('HMGET', KEYS[1], 'tenant', 'status', 'large', 'logs')
if not r[2] then
  redis.call('ZREM', KEYS[7], ARGV[2])
  return {3}
end
if r[1] ~= ARGV[3] then return {3} end
if not string.find(ARGV[5], ',' .. r[2] .. ',', 1, true) then
  redis.call('ZREM', KEYS[7], ARGV[2])
  return {2, r[2]}
end
local at = redis.call('ZSCORE', KEYS[7], ARGV[2])
if not at or tonumber(at) > clock(ARGV[1]) or (r[3] or '') ~= ARGV[7] or (r[4] or '') ~= ARGV[8] then return {1} end
redis.call('UNLINK', KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5])
for number = 12, #KEYS do redis.call('UNLINK', KEYS[number]) end
tally(KEYS[10], KEYS[11], ARGV[2], clock(ARGV[1]), r[2], false)
redis.call('ZREM', KEYS[6], ARGV[4])
redis.call('ZREM', KEYS[7], ARGV[2])
for _, letter in ipairs(redis.call('HKEYS', KEYS[9])) do -- a bounded list, and most often none
  if string.sub(letter, 1, #ARGV[6]) == ARGV[6] then
    redis.call('HDEL', KEYS[9], letter)
    redis.call('ZREM', KEYS[8], letter)
  end
end
return {0}
