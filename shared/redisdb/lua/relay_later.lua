-- Entries could not be sent: each is tried again later, that one only; a message that nobody needs any more leaves the outbox.
-- KEYS: 1 outbox times  2 outbox entries  3 outbox away  4... one record an entry
-- ARGV: 1 now  2 terminal statuses  then (entry id, ms, segment or '' for a command, '1' if its channel is away, why) an entry
-- Returns: {id of a message that left, ...}
--@include clock
local now = clock(ARGV[1])
local moot = {}
for number = 1, (#ARGV - 2) / 5 do
  local at = 5 * number - 2
  local id, ms, segment, away, why = ARGV[at], tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), ARGV[at + 3], ARGV[at + 4]
  local record = KEYS[3 + number]
  if redis.call('HEXISTS', KEYS[2], id) == 1 then
    local r = redis.call('HMGET', record, 'status', 'segment')
    -- It went on by a hint or a call: this message would be answered as stale, if QStash ever had it.
    if segment and (not r[1] or string.find(ARGV[2], ',' .. r[1] .. ',', 1, true) or tonumber(r[2]) > segment) then
      redis.call('ZREM', KEYS[1], id)
      redis.call('HDEL', KEYS[2], id)
      redis.call('ZREM', KEYS[3], id)
      redis.call('HDEL', record, 'refused')
      if redis.call('HGET', record, 'queued') == id then redis.call('HDEL', record, 'queued') end
      moot[#moot + 1] = id
    else
      redis.call('ZADD', KEYS[1], now + ms, id)
      if away == '1' then redis.call('ZADD', KEYS[3], now, id) end
      if segment then
        redis.call('HSET', record, 'refused', string.sub(why, 1, -2) .. ',"at_ms":' .. string.format('%.0f', now) .. '}')
      end
    end
  end
end
return moot
