-- QStash has these entries: take them out of the outbox, and keep the message ids for whoever asks why something waits.
-- A record that says that this one waits (`queued`, see outbox.lua) says so no more.
-- KEYS: 1 outbox times  2 outbox entries  3 outbox away  4... one record an entry
-- ARGV: (entry id, message id) an entry; no message id for a command
-- Returns: how many were still there
for number = 1, #ARGV / 2 do
  local id, message, record = ARGV[2 * number - 1], ARGV[2 * number], KEYS[3 + number]
  local r = redis.call('HMGET', record, 'queued', 'refused', 'id', 'buried')
  if r[1] == id then redis.call('HDEL', record, 'queued') end
  if message ~= '' and (r[3] or r[4]) then
    redis.call('HSET', record, 'message', message)
    if r[2] then redis.call('HDEL', record, 'refused') end
  end
end
local removed, away = 0, redis.call('EXISTS', KEYS[3]) == 1
for start = 1, #ARGV, 1000 do
  local ids = {}
  for at = start, math.min(start + 999, #ARGV), 2 do ids[#ids + 1] = ARGV[at] end
  if away then redis.call('ZREM', KEYS[3], unpack(ids)) end
  redis.call('ZREM', KEYS[1], unpack(ids))
  removed = removed + redis.call('HDEL', KEYS[2], unpack(ids))
end
return removed
