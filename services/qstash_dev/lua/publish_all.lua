-- Stores several messages, all or none of them: a publish to a URL group.
-- KEYS  1 due  2 held  3 events  4 dlq  5 boot
-- ARGV  1 prefix  2 now (ms)  3... seven for each, as in put.lua
-- Returns  the id that stands for each, as publish.lua does for one
--@include log
--@include put
local ids = {}
for place = 3, #ARGV, 7 do
  ids[#ids + 1] = put(ARGV[1], ARGV[2], ARGV, place)
end
return ids
