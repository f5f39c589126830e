-- What an attempt's outcome, recorded by finish.lua just before in the same command, means for the run.
-- `mine`  1 run  2 '' | 'fail' | 'callback'  3 how long an ended run is kept (ms)  4 dead-letter id  5 facts (JSON)
--         6 id of the failure callback or ''  7 the invoking run or ''  8 entry for it  9... seven of its message, as in put.lua
local key = ARGV[1] .. 'w:' .. mine[1]
if mine[2] == 'fail' and close(ARGV[1], ARGV[2], mine[1], 'RUN_FAILED', mine[3]) then
  redis.call('HSET', key, 'dlq', mine[4], 'failed', mine[5], 'failure', mine[6])
  append(ARGV[1], ARGV[2], mine[7], mine[8], mine, 9)
elseif mine[2] == 'callback' and redis.call('EXISTS', key) == 1 then
  redis.call('HSET', key, 'callback', mine[5])
end
return recorded
