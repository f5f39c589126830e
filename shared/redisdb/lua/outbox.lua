-- Put a message into the outbox under this id.
local function queue(obz, obh, now, id, message)
  message.id = id
  if (message.not_before_ms or 0) <= now then message.queued_ms = now end
  local text = cjson.encode(message)
  redis.call('HSET', obh, id, text)
  redis.call('ZADD', obz, now + 2000, id) -- whoever wrote it sends it at once; a relay only if that failed
  return text
end
-- Put a wake-up message into the outbox: `<execution>-<segment>-<nonce>`. The nonce is born with the entry, so only a repeated
-- relay of this very entry repeats it: QStash silently drops an id that it saw within ten minutes.
-- The execution pays for it here, and nowhere else (see pay.lua). What it cannot pay costs 0: a direct call, and none that has to wait.
local function enqueue(x, obz, obh, now, message)
  if message.cost == nil then message.cost = pay(x, now, message.not_before_ms or 0) end
  if message.cost == 0 and (message.not_before_ms or 0) > now then return '' end -- the due index has it
  local id = message.execution .. '-' .. message.segment .. '-' .. message.nonce
  message.nonce = nil
  redis.call('HSET', x, 'queued', id) -- until it is acknowledged, resend adds no other
  return queue(obz, obh, now, id, message)
end
-- Put commands into the outbox: ARGV from `start` to `stop` holds (id, entry text). Ids are deterministic: the same command decided
-- twice is one entry, or is carried out again by an idempotent handler.
local function put_commands(obz, obh, now, start, stop)
  for command = start, stop, 2 do
    redis.call('HSET', obh, ARGV[command], ARGV[command + 1])
    redis.call('ZADD', obz, now + 2000, ARGV[command])
  end
end
-- What this very call put there before, if the client sent it twice; false otherwise.
local function queued(obh, execution, segment, nonce)
  return redis.call('HGET', obh, execution .. '-' .. segment .. '-' .. nonce)
end
