-- Append one publish to a channel's log, unless its id was published within the last minutes.
-- KEYS 1 head of the channel (hash epoch, ms, seq)   2 its log (stream)   3 once: position of this message id
--      4… queues of webhook rules (streams)
-- ARGV 1 now, unix ms   2 epoch of a log that begins now   3 entry (JSON)   4 how long an id counts, ms
--      5 most entries of a log   6 how long a log is kept after its last use, ms   7 channel
-- Returns {1, epoch, ms, seq} for a new entry, {0, epoch, ms, seq} for one that is there already: applied twice it answers alike.
local head, log, once = KEYS[1], KEYS[2], KEYS[3]
local said = redis.call('GET', once)
if said then
  local epoch, ms, seq = string.match(said, '^(%x+) (%d+) (%d+)$')
  return {0, epoch, ms, seq}
end
local epoch = redis.call('HGET', head, 'epoch')
if not epoch then
  epoch = ARGV[2]
  redis.call('DEL', log)
  redis.call('HSET', head, 'epoch', epoch, 'ms', '0', 'seq', '0')
end
-- A clock that is set back must not put an entry before its predecessor.
local ms = string.format('%.0f', math.max(tonumber(ARGV[1]), tonumber(redis.call('HGET', head, 'ms'))))
local seq = string.format('%.0f', redis.call('HINCRBY', head, 'seq', 1))
redis.call('HSET', head, 'ms', ms)
redis.call('XADD', log, 'MAXLEN', ARGV[5], ms .. '-' .. seq, 'e', ARGV[3])
redis.call('XTRIM', log, 'MINID', string.format('%.0f', tonumber(ARGV[1]) - tonumber(ARGV[6])))
redis.call('PEXPIRE', head, ARGV[6])
redis.call('PEXPIRE', log, ARGV[6])
redis.call('SET', once, epoch .. ' ' .. ms .. ' ' .. seq, 'PX', ARGV[4])
for i = 4, #KEYS do
  redis.call('XADD', KEYS[i], '*', 'c', ARGV[7], 'p', epoch .. ' ' .. ms .. ' ' .. seq, 'e', ARGV[3])
  redis.call('PEXPIRE', KEYS[i], ARGV[6])
end
return {1, epoch, ms, seq}
