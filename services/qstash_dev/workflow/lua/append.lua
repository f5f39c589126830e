-- Appends a step to a run that goes on, and stores the message that delivers it.
-- KEYS  the user's fixed keys
-- ARGV  1 prefix  2 now (ms)  3 run  4 entry  5 which step it is, or ''  6... seven of the message, as in put.lua
-- Returns  the message id, an older one when deduplicated (a delivery that came twice makes its step twice), or false when the run is over or unknown
local prefix = ARGV[1]
if redis.call('EXISTS', prefix .. 'm:' .. ARGV[6]) == 1 then return ARGV[6] end -- the same call, sent twice
if redis.call('HGET', prefix .. 'w:' .. ARGV[3], 'state') ~= 'RUN_STARTED' then return false end
local known = ARGV[5] ~= '' and redis.call('HGET', prefix .. 'w:' .. ARGV[3], 's:' .. ARGV[5])
if known then return known end
local id = put(prefix, ARGV[2], ARGV, 6)
if id == ARGV[6] then
  redis.call('RPUSH', prefix .. 'ws:' .. ARGV[3], ARGV[4])
  if ARGV[5] ~= '' then redis.call('HSET', prefix .. 'w:' .. ARGV[3], 's:' .. ARGV[5], id) end
end
return id
