-- Put a wake-up message into the outbox: `<execution>-<segment>-<nonce>`. The nonce is born with the entry, so only a repeated
-- relay of this very entry repeats it: QStash silently drops an id that it saw within ten minutes.
local function enqueue(obz, obh, now, message)
  local id = message.execution .. '-' .. message.segment .. '-' .. message.nonce
  message.nonce = nil
  message.id = id
  local text = cjson.encode(message)
  redis.call('HSET', obh, id, text)
  redis.call('ZADD', obz, now + 2000, id) -- whoever wrote it sends it at once; a relay only if that failed
  return text
end
-- What this very call put there before, if the client sent it twice; false otherwise.
local function queued(obh, execution, segment, nonce)
  return redis.call('HGET', obh, execution .. '-' .. segment .. '-' .. nonce)
end
