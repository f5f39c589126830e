-- How a delivery is written down, and which of a list are still to be made.
local function mark(identity, waiter, event) return cjson.encode({identity, waiter, event}) end
local function open_marks(pending, marks)
  local found = {}
  for _, one in ipairs(marks) do
    if redis.call('ZSCORE', pending, one) then found[#found + 1] = one end
  end
  return found
end
-- Waiters whose time is over leave.
local function prune(waiters, now) redis.call('ZREMRANGEBYSCORE', waiters, '-inf', now) end
