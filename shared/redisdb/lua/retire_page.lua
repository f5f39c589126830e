-- A page of finished executions whose retention is over, for one archiver: two at once are at different partitions. The claim lapses,
-- so what a dead one was at is another's a minute later. Whoever finds nothing due gives the partition back.
-- KEYS: 1 retire  2 retiring
-- ARGV: 1 now  2 owner  3 claim ms  4 executions at most
-- Returns: {execution, ...}, the longest finished first; none while another has the partition
--@include clock
local now = clock(ARGV[1])
local claim = redis.call('GET', KEYS[2])
local owner, until_ms = string.match(claim or '', '^(.*) (%d+)$')
if owner and owner ~= ARGV[2] and tonumber(until_ms) > now then return {} end
local found = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[4])
if #found > 0 then
  redis.call('SET', KEYS[2], ARGV[2] .. ' ' .. string.format('%.0f', now + tonumber(ARGV[3])), 'PX', ARGV[3])
elseif claim then
  redis.call('DEL', KEYS[2])
end
return found
