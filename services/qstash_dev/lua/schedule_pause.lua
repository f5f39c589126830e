-- Pauses or resumes a schedule: its times go on, but make no messages.
-- KEYS  1 due  2 held  3 events  4 dlq  5 boot
-- ARGV  1 prefix  2 id  3 paused, 0 or 1
-- Returns  1, or 0 when there is no such schedule
local s = ARGV[1] .. 's:' .. ARGV[2]
if redis.call('EXISTS', s) == 0 then return 0 end
redis.call('HSET', s, 'paused', ARGV[3])
return 1
