-- A page of what is overdue on a partition, by tenant: so that one with 100,000 of them does not hide one that has five.
-- KEYS: 1 due  2 what a record's name begins with (the records lie on the same tag)
-- ARGV: 1 now  2 ms behind the due time from which on one is overdue  3 rank of the first to look at  4 how many to look at
--       5 how many of a tenant to tell at most
-- Returns: {rank of the next page, 0 if there is none, (tenant, execution)*}
--@include clock
local now, first, page = clock(ARGV[1]) - tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local found = redis.call('ZRANGE', KEYS[1], first, first + page - 1, 'WITHSCORES')
local reply, told = {#found < 2 * page and 0 or first + page}, {}
for at = 1, #found, 2 do
  if tonumber(found[at + 1]) > now then
    reply[1] = 0
    break
  end
  local tenant = redis.call('HGET', KEYS[2] .. found[at], 'tenant') or ''
  told[tenant] = (told[tenant] or 0) + 1
  if told[tenant] <= tonumber(ARGV[5]) then
    reply[#reply + 1] = tenant
    reply[#reply + 1] = found[at]
  end
end
return reply
