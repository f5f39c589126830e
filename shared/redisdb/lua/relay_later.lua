-- An entry could not be sent: try it again later, that one only.
-- KEYS: 1 outbox times  2 outbox entries
-- ARGV: 1 now  then (entry id, ms) an entry
-- Returns: 0
--@include clock
local now = clock(ARGV[1])
for at = 2, #ARGV, 2 do
  if redis.call('HEXISTS', KEYS[2], ARGV[at]) == 1 then redis.call('ZADD', KEYS[1], now + tonumber(ARGV[at + 1]), ARGV[at]) end
end
return 0
