-- Stores one message, unless it is there (the script was sent twice) or an equal one came within the deduplication window.
-- `a[i]`... = id, rec, body, lane, due, dedup, dedup_ms. Returns the id that stands for it.
local function put(prefix, now, a, i)
  local id, rec, body, dedup = a[i], a[i + 1], a[i + 2], a[i + 5]
  local key = prefix .. 'm:' .. id
  if redis.call('EXISTS', key) == 1 then return id end
  if dedup ~= '' then
    local old = redis.call('GET', prefix .. 'dedup:' .. dedup)
    if old then return old end
    redis.call('SET', prefix .. 'dedup:' .. dedup, id, 'PX', a[i + 6])
  end
  redis.call('HSET', key, 'rec', rec, 'body', body, 'lane', a[i + 3], 'due', a[i + 4], 'n', 0, 'state', 'CREATED')
  redis.call('ZADD', KEYS[1], a[i + 4], id)
  log(id, 'CREATED', now, rec, body, '')
  return id
end
