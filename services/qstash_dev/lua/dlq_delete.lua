-- Deletes dead letters.
-- KEYS  1 due  2 held  3 events  4 dlq  5 boot
-- ARGV  1 prefix  2... dead-letter ids
-- Returns  how many there were
local count = 0
for i = 2, #ARGV do
  redis.call('ZREM', KEYS[4], ARGV[i])
  count = count + redis.call('DEL', ARGV[1] .. 'dlq:' .. ARGV[i])
end
return count
