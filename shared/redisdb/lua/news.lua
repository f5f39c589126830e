-- Tell whoever follows that an execution's history has new lines: `first` to `last` are their ids.
-- While nobody follows anything there is no such stream (see news_open.lua), and nothing is written.
local function news(key, id, first, last)
  if first then redis.call('XADD', key, 'NOMKSTREAM', 'MAXLEN', '~', 1000, '*', 'x', id, 'a', first, 'z', last) end
end
