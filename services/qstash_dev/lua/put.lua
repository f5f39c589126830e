-- Stores one message, unless it is there (the script was sent twice) or an equal one came within the deduplication window.
-- Before that: the two gates a message may have to wait at, a queue and a flow-control key. Who waits there is in none of the
-- fixed zsets but in the gate's own, and in `parked` (zset id -> place) for those who want to see everything.
-- A gate's keys are <prefix>q:, qwait:, qopen: and the queue's name, or <prefix>f:, fwait:, fon:, fcalled:, fstarts: and the key.

local FLOW_MS = 691200000 -- 8 days, a day longer than the longest period
local AT_ONCE = 1000

local function call(prefix, now, from, id) -- out of a waiting line, into `due`
  redis.call('ZREM', from, id)
  redis.call('ZREM', prefix .. 'parked', id)
  redis.call('ZADD', KEYS[1], now, id)
end

-- Gives the free consumers of a queue its next messages. Returns how many.
local function queue_advance(prefix, now, name)
  local set = redis.call('HMGET', prefix .. 'q:' .. name, 'parallelism', 'paused')
  if not set[1] or set[2] == '1' then return 0 end
  local free = tonumber(set[1]) - redis.call('HLEN', prefix .. 'qopen:' .. name)
  if free < 1 then return 0 end
  local ids = redis.call('ZRANGE', prefix .. 'qwait:' .. name, 0, free - 1)
  for _, id in ipairs(ids) do
    redis.call('HSET', prefix .. 'qopen:' .. name, id, 1)
    redis.call('HSET', prefix .. 'm:' .. id, 'tq', name, 'tk', id)
    call(prefix, now, prefix .. 'qwait:' .. name, id)
  end
  return #ids
end

-- Lines a message up at the end of its queue, which is made when it is missing.
local function queue_join(prefix, now, name, id, place)
  if redis.call('HSETNX', prefix .. 'q:' .. name, 'parallelism', 1) == 1 then
    redis.call('HSET', prefix .. 'q:' .. name, 'paused', 0, 'created', now, 'updated', now)
    redis.call('ZADD', prefix .. 'queues', 'NX', now, name)
  end
  redis.call('ZADD', prefix .. 'qwait:' .. name, place, id)
  redis.call('ZADD', prefix .. 'parked', place, id)
  return queue_advance(prefix, now, name)
end

-- How many more of a key may start now, those already called left out. A full period sets the alarm for its end.
local function flow_free(prefix, now, key)
  local set = redis.call('HMGET', prefix .. 'f:' .. key, 'parallelism', 'rate', 'period', 'paused')
  if set[4] == '1' then return 0 end
  local called, free = redis.call('SCARD', prefix .. 'fcalled:' .. key), AT_ONCE
  local parallelism, rate = tonumber(set[1] or 0), tonumber(set[2] or 0)
  if parallelism > 0 then free = math.min(free, parallelism - redis.call('SCARD', prefix .. 'fon:' .. key) - called) end
  if rate > 0 then
    local starts, period = prefix .. 'fstarts:' .. key, tonumber(set[3]) * 1000
    local first = redis.call('LINDEX', starts, 0)
    while first and tonumber(first) <= tonumber(now) - period do
      redis.call('LPOP', starts)
      first = redis.call('LINDEX', starts, 0)
    end
    local used = redis.call('LLEN', starts)
    free = math.min(free, rate - used - called)
    if used >= rate then redis.call('ZADD', prefix .. 'alarms', tonumber(first) + period, key) end
  end
  return free
end

-- Calls those of a key's line who may start now. Returns how many.
local function flow_advance(prefix, now, key)
  if redis.call('EXISTS', prefix .. 'fwait:' .. key) == 0 then return 0 end
  local free = flow_free(prefix, now, key)
  if free < 1 then return 0 end
  local ids = redis.call('ZRANGE', prefix .. 'fwait:' .. key, 0, free - 1)
  for _, id in ipairs(ids) do
    redis.call('SADD', prefix .. 'fcalled:' .. key, id)
    call(prefix, now, prefix .. 'fwait:' .. key, id)
  end
  return #ids
end

-- The newest message's limits are the key's, unless they are pinned. `lane` is the decoded one.
local function flow_configure(prefix, now, lane)
  local f = prefix .. 'f:' .. lane[2]
  local pinned = redis.call('HMGET', f, 'pin_p', 'pin_r', 'paused')
  if pinned[1] ~= '1' then redis.call('HSET', f, 'parallelism', lane[3]) end
  if pinned[2] ~= '1' then redis.call('HSET', f, 'rate', lane[5], 'period', lane[6]) end
  if pinned[1] ~= '1' and pinned[2] ~= '1' and pinned[3] ~= '1' then redis.call('PEXPIRE', f, FLOW_MS) end
  redis.call('ZREMRANGEBYSCORE', prefix .. 'flows', '-inf', now - FLOW_MS)
  redis.call('ZADD', prefix .. 'flows', 'GT', now, lane[2])
  return flow_advance(prefix, now, lane[2])
end

-- `a[i]`... = id, rec, body, lane, due, dedup, dedup_ms. Returns the id that stands for it, and whether it was stored now.
local function put(prefix, now, a, i)
  local id, rec, body, dedup = a[i], a[i + 1], a[i + 2], a[i + 5]
  local key = prefix .. 'm:' .. id
  if redis.call('EXISTS', key) == 1 then return id, false end
  if dedup ~= '' then
    local old = redis.call('GET', prefix .. 'dedup:' .. dedup)
    if old then return old, false end
    redis.call('SET', prefix .. 'dedup:' .. dedup, id, 'PX', a[i + 6])
  end
  redis.call('HSET', key, 'rec', rec, 'body', body, 'lane', a[i + 3], 'due', a[i + 4], 'n', 0, 'state', 'CREATED')
  log(id, 'CREATED', now, rec, body, '')
  local lane = cjson.decode(a[i + 3])
  local queue, flow = lane[7] or '', lane[2]
  if queue ~= '' or flow ~= '' then
    redis.call('HSET', key, 'place', redis.call('INCR', prefix .. 'places'), 'q', queue, 'fk', flow)
  end
  if flow ~= '' then flow_configure(prefix, now, lane) end
  if queue ~= '' and tonumber(a[i + 4]) <= tonumber(now) then
    queue_join(prefix, now, queue, id, redis.call('HGET', key, 'place'))
  else
    redis.call('ZADD', KEYS[1], a[i + 4], id)
  end
  return id, true
end
