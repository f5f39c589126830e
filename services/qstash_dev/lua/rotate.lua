-- Makes the next signing key the current one. Claims read the current key, so every later attempt is signed with it.
-- KEYS  1 due  2 held  3 events  4 dlq  5 boot
-- ARGV  1 prefix  2 the new next key  3 the configured next key, which counts until the first rotation
-- Returns  {current, next}; the same again for the same call sent twice
local keys = ARGV[1] .. 'keys'
local now = redis.call('HMGET', keys, 'current', 'next')
if now[2] == ARGV[2] then return now end
local current = now[2] or ARGV[3]
redis.call('HSET', keys, 'current', current, 'next', ARGV[2])
return { current, ARGV[2] }
