-- Writes a URL group if it is still as it was read; the decision what to write is made outside.
-- KEYS  1 due  2 held  3 events  4 dlq  5 boot
-- ARGV  1 prefix  2 name  3 the JSON that was read or ''  4 the JSON to write or '' for none
-- Returns  1 written (or written before by the same call)  0 somebody else was faster: read and decide again
local groups = ARGV[1] .. 'groups'
local found = redis.call('HGET', groups, ARGV[2]) or ''
if found == ARGV[4] then return 1 end
if found ~= ARGV[3] then return 0 end
if ARGV[4] == '' then
  redis.call('HDEL', groups, ARGV[2])
else
  redis.call('HSET', groups, ARGV[2], ARGV[4])
end
return 1
