-- Tell whoever follows that an execution's history has new lines: `first` to `last` are their ids, `x` is its record's key.
-- While nobody follows anything there is no such stream (see news_open.lua), and nothing is written. Asking for it first costs a
-- third of an XADD that finds none (NOMKSTREAM), and most engines are not followed most of the time.
local function news(key, x, first, last)
  if first and redis.call('EXISTS', key) == 1 then
    redis.call('XADD', key, 'MAXLEN', '~', 1000, '*', 'x', string.match(x, '[^:]+$'), 'a', first, 'z', last)
  end
end
