-- Passing and leaving the gates of put.lua, which must be included before.

-- One of a ticket's messages (the queue's own, or a callback of it) is finished; after the last one the consumer is free.
local function ticket_done(prefix, now, name, ticket)
  local open = prefix .. 'qopen:' .. name
  if redis.call('HEXISTS', open, ticket) == 0 then return 0 end
  if redis.call('HINCRBY', open, ticket, -1) > 0 then return 0 end
  redis.call('HDEL', open, ticket)
  return queue_advance(prefix, now, name)
end

-- A queue that was paused takes back a message that has not started.
local function queue_return(prefix, name, id, place)
  redis.call('HDEL', prefix .. 'qopen:' .. name, id)
  redis.call('HDEL', prefix .. 'm:' .. id, 'tq', 'tk')
  redis.call('ZADD', prefix .. 'qwait:' .. name, place, id)
  redis.call('ZADD', prefix .. 'parked', place, id)
end

-- Whether a message may start now under its key; if not, it waits in the key's line, by age.
local function flow_enter(prefix, now, key, id, lane, place)
  if redis.call('SISMEMBER', prefix .. 'fon:' .. key, id) == 1 then return true end
  if redis.call('EXISTS', prefix .. 'f:' .. key) == 0 then flow_configure(prefix, now, cjson.decode(lane)) end
  local called = redis.call('SREM', prefix .. 'fcalled:' .. key, id) == 1
  local waiting = redis.call('EXISTS', prefix .. 'fwait:' .. key) == 1
  if flow_free(prefix, now, key) < 1 or (waiting and not called) then
    redis.call('ZADD', prefix .. 'fwait:' .. key, place, id)
    redis.call('ZADD', prefix .. 'parked', place, id)
    flow_advance(prefix, now, key)
    return false
  end
  redis.call('SADD', prefix .. 'fon:' .. key, id)
  local set = redis.call('HMGET', prefix .. 'f:' .. key, 'rate', 'period')
  if tonumber(set[1] or 0) > 0 then
    redis.call('RPUSH', prefix .. 'fstarts:' .. key, now)
    redis.call('PEXPIRE', prefix .. 'fstarts:' .. key, set[2] * 1000)
  end
  return true
end

-- A message is no longer on the wire, or will never be. Returns how many others that calls.
local function flow_leave(prefix, now, key, id)
  redis.call('SREM', prefix .. 'fon:' .. key, id)
  redis.call('SREM', prefix .. 'fcalled:' .. key, id)
  if redis.call('ZREM', prefix .. 'fwait:' .. key, id) == 1 then redis.call('ZREM', prefix .. 'parked', id) end
  return flow_advance(prefix, now, key)
end

-- The last state of a scheduled message, for the schedule's lastScheduleStates.
local function schedule_note(prefix, schedule, id, state)
  local states = prefix .. 'sstates:' .. schedule
  if redis.call('HEXISTS', states, id) == 1 then redis.call('HSET', states, id, state) end
end
