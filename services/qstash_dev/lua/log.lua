-- The event log: at most about 50,000 entries, and gone 3 days after the last one. A body above 1 KiB is left out of it.
-- `more` is JSON of what only this event knows.
local function log(id, state, now, rec, body, more)
  redis.call('XADD', KEYS[3], 'MAXLEN', '~', 50000, '*',
    'm', id, 's', state, 't', now, 'r', rec, 'x', more, 'b', #body <= 1024 and body or '')
  redis.call('PEXPIRE', KEYS[3], 259200000)
end

local LIVE = { CREATED = true, ACTIVE = true, RETRY = true }
