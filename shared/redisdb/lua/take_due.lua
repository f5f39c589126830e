-- Take members of a list whose time has come; the claim lapses, so who dies with them loses nothing and two do not collide.
-- KEYS: 1 members by time
-- ARGV: 1 now  2 members at most  3 claim ms
-- Returns: {member, ...}
--@include clock
local now = clock(ARGV[1])
local found = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[2])
for _, member in ipairs(found) do redis.call('ZADD', KEYS[1], now + tonumber(ARGV[3]), member) end
return found
