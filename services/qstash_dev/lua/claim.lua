-- Leases messages to this process for one attempt each. What was cancelled, finished or moved to a later time is left out.
-- KEYS  1 due  2 held  3 events  4 dlq  5 boot
-- ARGV  1 prefix  2 boot id  3 now (ms)  4... ids
-- Returns  {id, rec, body, retried, ...} four a message, or -1 when another process owns the deliveries
--@include log
local prefix, boot, now = ARGV[1], ARGV[2], ARGV[3]
local owner = redis.call('GET', KEYS[5])
if owner and owner ~= boot then return -1 end
local claimed = {}
for i = 4, #ARGV do
  local id = ARGV[i]
  local key = prefix .. 'm:' .. id
  local m = redis.call('HMGET', key, 'rec', 'body', 'n', 'state', 'due', 'lease')
  if not m[1] or not LIVE[m[4]] then
    redis.call('ZREM', KEYS[1], id)
    redis.call('ZREM', KEYS[2], id)
  elseif tonumber(m[5]) > tonumber(now) then
    redis.call('ZREM', KEYS[2], id)
    redis.call('ZADD', KEYS[1], m[5], id)
  else
    redis.call('ZREM', KEYS[1], id)
    redis.call('ZADD', KEYS[2], m[5], id)
    if m[4] ~= 'ACTIVE' or m[6] ~= boot then -- else this very call, sent again after a lost reply
      redis.call('HSET', key, 'state', 'ACTIVE', 'lease', boot)
      log(id, 'ACTIVE', now, m[1], m[2], '')
    end
    for _, value in ipairs({ id, m[1], m[2], m[3] }) do claimed[#claimed + 1] = value end
  end
end
return claimed
