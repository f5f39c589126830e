-- Lists what this process is supposed to hold, after replies may have been lost; restores ownership when Redis forgot it.
-- KEYS  1 due  2 held  3 events  4 dlq  5 boot
-- ARGV  1 prefix  2 boot id
-- Returns  {id, lane, id, lane, ...}, or -1 when another process owns the deliveries
redis.call('SET', KEYS[5], ARGV[2], 'NX')
if redis.call('GET', KEYS[5]) ~= ARGV[2] then return -1 end
local found = {}
for _, id in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1)) do
  local lane = redis.call('HGET', ARGV[1] .. 'm:' .. id, 'lane')
  if lane then
    found[#found + 1] = id
    found[#found + 1] = lane
  else
    redis.call('ZREM', KEYS[2], id)
  end
end
return found
