-- What follows a place in a channel's log, and where the log ends. Makes the head of a channel that nobody used yet.
-- KEYS 1 head of the channel (hash)   2 its log (stream)
-- ARGV 1 epoch of a log that begins now   2 entry id to begin behind ('' for none: only the head is asked for)
--      3 most entries   4 how long a log is kept after its last use, ms
-- Returns {epoch, ms, seq of the head, entries}; an entry is {id, {'e', entry}}.
local head, log = KEYS[1], KEYS[2]
if redis.call('HEXISTS', head, 'epoch') == 0 then
  redis.call('DEL', log)
  redis.call('HSET', head, 'epoch', ARGV[1], 'ms', '0', 'seq', '0')
end
redis.call('PEXPIRE', head, ARGV[4])
redis.call('PEXPIRE', log, ARGV[4])
local found = {}
if ARGV[2] ~= '' then
  found = redis.call('XRANGE', log, '(' .. ARGV[2], '+', 'COUNT', ARGV[3])
end
local place = redis.call('HMGET', head, 'epoch', 'ms', 'seq')
return {place[1], place[2], place[3], found}
