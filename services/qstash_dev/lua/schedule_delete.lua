-- Deletes a schedule. The messages it has made stay.
-- KEYS  1 due  2 held  3 events  4 dlq  5 boot
-- ARGV  1 prefix  2 id
-- Returns  how many there were
redis.call('ZREM', ARGV[1] .. 'schedules', ARGV[2])
redis.call('DEL', ARGV[1] .. 'sstates:' .. ARGV[2])
return redis.call('DEL', ARGV[1] .. 's:' .. ARGV[2])
