-- What the run commands share. A run is `w:<run>` (hash: rec, state, created, first, done, response, dlq, failure, failed,
-- callback, and `n:<event>` = a notification that came before its wait, `w:<message>` = the event that message waits for,
-- `s:<step>` = the message of that step), its
-- steps `ws:<run>` (list of `<message> <ms> <call> <JSON as delivered>`); an event's waiters are `wait:<event>`
-- (hash `<run>:<message>` -> JSON).
local function cancel_waiting(prefix, now, id)
  local key = prefix .. 'm:' .. id
  local m = redis.call('HMGET', key, 'rec', 'body', 'state')
  if not m[1] or (m[3] ~= 'CREATED' and m[3] ~= 'RETRY') then return end
  log(id, 'CANCEL_REQUESTED', now, m[1], m[2], '')
  log(id, 'CANCELED', now, m[1], m[2], '')
  redis.call('HSET', key, 'state', 'CANCELED')
  redis.call('PEXPIRE', key, 60000)
  redis.call('ZREM', KEYS[1], id)
  redis.call('ZREM', KEYS[2], id)
end

-- Ends a run that is going on: its waiters are gone, its messages that wait are cancelled; one on the wire completes.
-- Returns whether it was going on.
local function close(prefix, now, run, state, keep)
  local key, steps = prefix .. 'w:' .. run, prefix .. 'ws:' .. run
  if redis.call('HGET', key, 'state') ~= 'RUN_STARTED' then return false end
  redis.call('HSET', key, 'state', state, 'done', now)
  local fields = redis.call('HGETALL', key)
  for i = 1, #fields, 2 do
    local message = string.match(fields[i], '^w:(.+)$')
    if message then
      redis.call('HDEL', prefix .. 'wait:' .. fields[i + 1], run .. ':' .. message)
      redis.call('HDEL', key, fields[i])
      cancel_waiting(prefix, now, message)
    end
  end
  for _, entry in ipairs(redis.call('LRANGE', steps, 0, -1)) do
    cancel_waiting(prefix, now, string.match(entry, '^%S+'))
  end
  redis.call('PEXPIRE', key, keep)
  redis.call('PEXPIRE', steps, keep)
  return true
end

-- Appends a step that this server makes itself (an invoked run's outcome) and stores its message, if the run goes on.
local function append(prefix, now, run, entry, a, i)
  if run == '' or redis.call('HGET', prefix .. 'w:' .. run, 'state') ~= 'RUN_STARTED' then return end
  if put(prefix, now, a, i) == a[i] then redis.call('RPUSH', prefix .. 'ws:' .. run, entry) end
end
