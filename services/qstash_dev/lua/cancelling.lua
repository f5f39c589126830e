-- Cancels one message if it is live, wherever it waits; put.lua and gates.lua must be included before. Returns whether it was.
local function cancel_one(prefix, now, kept, id)
  local key = prefix .. 'm:' .. id
  local m = redis.call('HMGET', key, 'rec', 'body', 'state', 'q', 'tk', 'tq', 'fk', 'sid')
  if not m[1] or not LIVE[m[3]] then return false end
  log(id, 'CANCEL_REQUESTED', now, m[1], m[2], '')
  log(id, 'CANCELED', now, m[1], m[2], '')
  redis.call('HSET', key, 'state', 'CANCELED')
  redis.call('PEXPIRE', key, kept)
  redis.call('ZREM', KEYS[1], id)
  redis.call('ZREM', KEYS[2], id)
  redis.call('ZREM', prefix .. 'parked', id)
  if m[7] and m[7] ~= '' then flow_leave(prefix, now, m[7], id) end
  if m[4] and m[4] ~= '' then redis.call('ZREM', prefix .. 'qwait:' .. m[4], id) end
  if m[5] then ticket_done(prefix, now, m[6], m[5]) end
  if m[8] then schedule_note(prefix, m[8], id, 'FAIL') end
  return true
end
