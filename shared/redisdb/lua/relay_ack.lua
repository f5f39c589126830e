-- QStash has these entries: take them out of the outbox, and keep the message ids for whoever asks why something waits.
-- A record that says that this one waits (`queued`, see outbox.lua) says so no more.
-- KEYS: 1 outbox times  2 outbox entries  3 outbox away  4... one record an entry
-- ARGV: (entry id, message id) an entry; no message id for a command
-- Returns: how many were still there
local removed = 0
for number = 1, #ARGV / 2 do
  local id, message, record = ARGV[2 * number - 1], ARGV[2 * number], KEYS[3 + number]
  if redis.call('HGET', record, 'queued') == id then redis.call('HDEL', record, 'queued') end
  redis.call('ZREM', KEYS[1], id)
  redis.call('ZREM', KEYS[3], id)
  removed = removed + redis.call('HDEL', KEYS[2], id)
  if message ~= '' and redis.call('EXISTS', record) == 1 then
    redis.call('HSET', record, 'message', message)
    redis.call('HDEL', record, 'refused')
  end
end
return removed
