-- Makes this process the owner of the user's deliveries, unless a later one is, and takes back what a dead one held.
-- KEYS  1 due  2 held  3 events  4 dlq  5 boot
-- ARGV  1 this process's boot id, a number that rises with every start
-- Returns  how many messages were taken back, or -1 when a later process owns the deliveries
local owner = redis.call('GET', KEYS[5])
if (tonumber(owner or 0) or 0) > tonumber(ARGV[1]) then return -1 end
redis.call('SET', KEYS[5], ARGV[1])
local prefix = string.sub(KEYS[5], 1, -5)
local count = 0
while true do
  local ids = redis.call('ZRANGE', KEYS[2], 0, 499, 'WITHSCORES')
  if #ids == 0 then return count end
  for i = 1, #ids, 2 do
    redis.call('ZADD', KEYS[1], ids[i + 1], ids[i])
    redis.call('ZREM', KEYS[2], ids[i])
    local flow = redis.call('HGET', prefix .. 'm:' .. ids[i], 'fk') -- it is on no wire any more: to start again, it is counted again
    if flow and flow ~= '' then redis.call('SMOVE', prefix .. 'fon:' .. flow, prefix .. 'fcalled:' .. flow, ids[i]) end
    count = count + 1
  end
end
