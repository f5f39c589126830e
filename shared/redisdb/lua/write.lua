-- Apply one written-out set of changes: ARGV from `at` holds
--   n, (field, value)*n     fields that may be overwritten
--   n, (field, value)*n     fields that are written once (results)
--   n, (offset, bytes)*n    cells
--   n, line*n               history
--   n, (id, entry)*n        commands for the outbox (see put_commands in outbox.lua)
--   n, (key number, cell, text)*n   outputs too large for the record, each under KEYS[key number], once; `large` names their cells
--                           (a cell of 'plan': the plan, in the place of none or of the version before;
--                           of 'log:<cell>': what an attempt has logged, see log.lua)
-- Returns the position behind it, the ids of the first and the last line of the history and the new status (nil without one).
-- `seq` spreads lines of one millisecond by itself: XADD with '*'.
local function write(x, cells, h, obz, obh, now, at)
  local status
  for _, command in ipairs({'HSET', 'HSETNX'}) do
    local count = tonumber(ARGV[at])
    at = at + 1
    for _ = 1, count do
      redis.call(command, x, ARGV[at], ARGV[at + 1])
      if ARGV[at] == 'status' then status = ARGV[at + 1] end
      at = at + 2
    end
  end
  local count = tonumber(ARGV[at])
  at = at + 1
  for _ = 1, count do
    redis.call('SETRANGE', cells, ARGV[at], ARGV[at + 1])
    at = at + 2
  end
  count = tonumber(ARGV[at])
  at = at + 1
  local first, last
  for _ = 1, count do
    last = redis.call('XADD', h, '*', 'l', ARGV[at])
    first = first or last
    at = at + 1
  end
  at = put_commands(obz, obh, now, at)
  count = tonumber(ARGV[at])
  at = at + 1
  for _ = 1, count do
    local logged = string.match(ARGV[at + 1], '^log:(%d+)$')
    if logged then
      keep_log(x, KEYS[tonumber(ARGV[at])], logged, ARGV[at + 2])
    elseif ARGV[at + 1] == 'plan' then
      redis.call('SET', KEYS[tonumber(ARGV[at])], ARGV[at + 2])
    elseif redis.call('SET', KEYS[tonumber(ARGV[at])], ARGV[at + 2], 'NX') then
      local others = redis.call('HGET', x, 'large')
      redis.call('HSET', x, 'large', (others and others .. ',' or '') .. ARGV[at + 1])
    end
    at = at + 3
  end
  return at, first, last, status
end
