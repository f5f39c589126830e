-- QStash has these entries: take them out of the outbox, and keep the message ids for whoever asks why something waits.
-- A record that says that this one waits (`queued`, see outbox.lua) says so no more.
-- KEYS: 1 outbox times  2 outbox entries  3... one record an entry
-- ARGV: (entry id, message id) an entry; no message id for a command
-- Returns: how many were still there
local removed = 0
for number = 1, #ARGV / 2 do
  local id, message = ARGV[2 * number - 1], ARGV[2 * number]
  if redis.call('HGET', KEYS[2 + number], 'queued') == id then redis.call('HDEL', KEYS[2 + number], 'queued') end
  redis.call('ZREM', KEYS[1], id)
  removed = removed + redis.call('HDEL', KEYS[2], id)
  if message ~= '' and redis.call('EXISTS', KEYS[2 + number]) == 1 then redis.call('HSET', KEYS[2 + number], 'message', message) end
end
return removed
