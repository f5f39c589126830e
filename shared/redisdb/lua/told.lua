-- Watchers were told an execution's history up to this line. Never backwards: another process may be further on.
-- KEYS: 1 record
-- ARGV: 1 id of the line
-- Returns: {0 OK} | {1 ABSENT}
local r = redis.call('HMGET', KEYS[1], 'tenant', 'told')
if not r[1] then return {1} end
local function parts(id)
  local ms, seq = string.match(id, '^(%d+)%-(%d+)$')
  return tonumber(ms), tonumber(seq)
end
local ms, seq = parts(ARGV[1])
if r[2] then
  local told_ms, told_seq = parts(r[2])
  if told_ms > ms or (told_ms == ms and told_seq >= seq) then return {0} end
end
redis.call('HSET', KEYS[1], 'told', ARGV[1])
return {0}
