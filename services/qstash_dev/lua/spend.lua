-- Takes from an allowance that ends with its period. Sent twice it takes twice, which errs on the limit's side.
-- KEYS  1 due  2 held  3 events  4 dlq  5 boot
-- ARGV  1 prefix  2 name of the allowance in this period  3 how much  4 the limit  5 how long the count is kept (ms)
-- Returns  {1 taken or 0 refused, what is left}
local key = ARGV[1] .. 'spent:' .. ARGV[2]
local left = ARGV[4] - (redis.call('GET', key) or 0)
if left < tonumber(ARGV[3]) then return { 0, left } end
redis.call('INCRBY', key, ARGV[3])
redis.call('PEXPIRE', key, ARGV[5])
return { 1, left - ARGV[3] }
