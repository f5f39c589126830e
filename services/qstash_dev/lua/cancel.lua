-- Cancels live messages. A request that is on the wire may still complete; its outcome is then not recorded.
-- KEYS  1 due  2 held  3 events  4 dlq  5 boot
-- ARGV  1 prefix  2 now (ms)  3 how long a cancelled message is kept (ms)  4... ids
-- Returns  how many were cancelled
--@include log
--@include put
--@include gates
--@include cancelling
local count = 0
for i = 4, #ARGV do
  if cancel_one(ARGV[1], ARGV[2], ARGV[3], ARGV[i]) then count = count + 1 end
end
return count
