-- Begin, or keep, the stream of a partition that the other commands write their news to: it lives as long as it is asked for.
-- KEYS: 1 news
-- ARGV: 1 ms that it lives on
-- Returns: {1 if it has just begun, id of its first entry, id of its latest entry, 1 if its first is the mark that it began with}
-- Its first entry names no execution: a place in the stream is one that it still has only if it is not before the first.
local begun = redis.call('EXISTS', KEYS[1]) == 0
if begun then redis.call('XADD', KEYS[1], '*', 'o', '1') end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
local first = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
return {begun and 1 or 0, first[1], last[1], first[2][1] == 'o' and 1 or 0}
