-- Look at an execution again at the latest in so many ms (a dead letter came, a hint arrived). Never later than before.
-- KEYS: 1 record  2 due  3 history
-- ARGV: 1 now  2 execution id  3 ms from now  4 terminal statuses  5 a line for the history, or ''
-- Returns: {0 OK, segment} | {1 TERMINAL} | {2 ABSENT}
--@include clock
local r = redis.call('HMGET', KEYS[1], 'status', 'segment')
if not r[1] then return {2} end
if string.find(ARGV[4], ',' .. r[1] .. ',', 1, true) then return {1} end
local function noted(line) -- among the latest lines: this call sent twice, or the same dead letter reported twice
  for _, item in ipairs(redis.call('XREVRANGE', KEYS[3], '+', '-', 'COUNT', 16)) do
    if item[2][2] == line then return true end
  end
  return false
end
if ARGV[5] ~= '' and not noted(ARGV[5]) then redis.call('XADD', KEYS[3], '*', 'l', ARGV[5]) end
redis.call('ZADD', KEYS[2], 'LT', clock(ARGV[1]) + tonumber(ARGV[3]), ARGV[2])
return {0, tonumber(r[2])}
