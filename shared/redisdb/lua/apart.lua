-- What few commits write: commands for the outbox, and texts that are stored apart, of the kept part or of `all` (see write.lua).
-- A text is an output too large for the record, under KEYS[key number], once; `large` names their cells. Or its cell is 'plan': the
-- plan, in the place of none or of the version before; or 'log:<cell>': what an attempt has logged, see log.lua.
-- `place` is the first command's; returns the position behind all of them.
local function write_apart(x, obz, obh, now, place, all)
  local behind = place + 2 * (many[9] + many[10])
  put_commands(obz, obh, now, place, all and behind - 1 or place + 2 * many[9] - 1)
  place, behind = behind, behind + 3 * (many[11] + many[12])
  for at = place, all and behind - 1 or place + 3 * many[11] - 1, 3 do
    local key, cell, text = KEYS[tonumber(ARGV[at])], ARGV[at + 1], ARGV[at + 2]
    local logged = string.match(cell, '^log:(%d+)$')
    if logged then
      keep_log(x, key, logged, text)
    elseif cell == 'plan' then
      redis.call('SET', key, text)
    elseif redis.call('SET', key, text, 'NX') then
      local others = redis.call('HGET', x, 'large')
      redis.call('HSET', x, 'large', (others and others .. ',' or '') .. cell)
    end
  end
  return behind
end
