-- Moves due messages from `due` to `held`: they are this process's to start. First it calls those whose flow-control key has
-- come into a new period.
-- KEYS  1 due  2 held  3 events  4 dlq  5 boot
-- ARGV  1 prefix  2 boot id  3 now (ms)  4 how many at most
-- Returns  {next due time in ms or '', {id, lane, id, lane, ...}}, or -1 when another process owns the deliveries
--@include log
--@include put
local boot = redis.call('GET', KEYS[5])
if boot and boot ~= ARGV[2] then return -1 end
local prefix, now = ARGV[1], ARGV[3]
for _, key in ipairs(redis.call('ZRANGE', prefix .. 'alarms', '-inf', now, 'BYSCORE', 'LIMIT', 0, 100)) do
  redis.call('ZREM', prefix .. 'alarms', key)
  flow_advance(prefix, now, key)
end
local found = {}
local ids = redis.call('ZRANGE', KEYS[1], '-inf', ARGV[3], 'BYSCORE', 'LIMIT', 0, ARGV[4], 'WITHSCORES')
for i = 1, #ids, 2 do
  redis.call('ZREM', KEYS[1], ids[i])
  local lane = redis.call('HGET', ARGV[1] .. 'm:' .. ids[i], 'lane')
  if lane then
    redis.call('ZADD', KEYS[2], ids[i + 1], ids[i])
    found[#found + 1] = ids[i]
    found[#found + 1] = lane
  end
end
local due = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')[2]
local alarm = redis.call('ZRANGE', prefix .. 'alarms', 0, 0, 'WITHSCORES')[2]
if alarm and (not due or tonumber(alarm) < tonumber(due)) then due = alarm end
return { due or '', found }
