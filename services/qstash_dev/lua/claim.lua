-- Leases messages to this process for one attempt each. Left out: what was cancelled, finished, moved to a later time, or must
-- wait at a gate (the queue is paused, the flow-control key is full).
-- KEYS  1 due  2 held  3 events  4 dlq  5 boot
-- ARGV  1 prefix  2 boot id  3 now (ms)  4... ids
-- Returns  {id, rec, body, retried, signing key or '' for the configured one, ...} five a message, or -1 when another process
--          owns the deliveries
--@include log
--@include put
--@include gates
local prefix, boot, now = ARGV[1], ARGV[2], ARGV[3]
local owner = redis.call('GET', KEYS[5])
if owner and owner ~= boot then return -1 end
local signing = redis.call('HGET', prefix .. 'keys', 'current') or ''
local claimed = {}

local function waits(id, m) -- whether a gate keeps the message; then it is in that gate's line now
  local place = m[10]
  if m[7] and m[7] ~= '' and not m[8] then
    queue_join(prefix, now, m[7], id, place)
    return true
  end
  if m[7] and m[7] ~= '' and m[4] == 'CREATED' and redis.call('HGET', prefix .. 'q:' .. m[7], 'paused') == '1' then
    queue_return(prefix, m[7], id, place)
    return true
  end
  return m[9] and m[9] ~= '' and not flow_enter(prefix, now, m[9], id, m[11], place)
end

for i = 4, #ARGV do
  local id = ARGV[i]
  local key = prefix .. 'm:' .. id
  local m = redis.call('HMGET', key, 'rec', 'body', 'n', 'state', 'due', 'lease', 'q', 'tk', 'fk', 'place', 'lane')
  redis.call('ZREM', KEYS[1], id)
  redis.call('ZREM', KEYS[2], id)
  if m[1] and LIVE[m[4]] then
    if tonumber(m[5]) > tonumber(now) then
      redis.call('ZADD', KEYS[1], m[5], id)
    elseif not waits(id, m) then
      redis.call('ZADD', KEYS[2], m[5], id)
      if m[4] ~= 'ACTIVE' or m[6] ~= boot then -- else this very call, sent again after a lost reply
        redis.call('HSET', key, 'state', 'ACTIVE', 'lease', boot)
        log(id, 'ACTIVE', now, m[1], m[2], '')
      end
      for _, value in ipairs({ id, m[1], m[2], m[3], signing }) do claimed[#claimed + 1] = value end
    end
  end
end
return claimed
