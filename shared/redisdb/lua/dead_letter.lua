-- A message of an execution is dead: list it, note it in the history, and look at the execution again soon.
-- KEYS: 1 record  2 due  3 history  4 dead letters' times  5 dead letters  6 news
-- ARGV: 1 now  2 execution id  3 tenant (the list is that tenant's)  4 ms until the watchdog looks  5 terminal statuses
--       6 a line for the history  7 the letter (see bury.lua)  8 letters at most
-- Returns: {0 OK, segment} | {1 TERMINAL} (nothing is lost by a message of what is over) | {2 ABSENT}
-- The same death reported again brings the look forward, and is neither listed nor told again.
--@include clock
--@include bury
--@include news
local r = redis.call('HMGET', KEYS[1], 'tenant', 'status', 'segment')
if r[1] ~= ARGV[3] then return {2} end
if string.find(ARGV[5], ',' .. r[2] .. ',', 1, true) then return {1} end
local now = clock(ARGV[1])
if bury(KEYS[4], KEYS[5], now, ARGV[7], ARGV[8]) then
  local line = redis.call('XADD', KEYS[3], '*', 'l', ARGV[6])
  news(KEYS[6], KEYS[1], line, line)
end
redis.call('ZADD', KEYS[2], 'LT', now + tonumber(ARGV[4]), ARGV[2])
return {0, tonumber(r[3])}
