-- Stores one message, or says which one it repeats.
-- KEYS  1 due  2 held  3 events  4 dlq  5 boot  (the user's fixed keys, the same in every script)
-- ARGV  1 prefix of the user's other keys  2 now (ms)  3 id  4 rec  5 body  6 lane  7 due (ms)  8 dedup or ''  9 window (ms)
-- Returns  the id: the given one when stored (or stored before by the same call), an older one when deduplicated
--@include log
--@include put
return put(ARGV[1], ARGV[2], ARGV, 3)
