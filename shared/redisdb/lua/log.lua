-- Keep what an attempt has logged: 1 MiB of an execution, and of each cell the latest ten attempts and one that tells that there
-- were more. `logs` names the cells, so that purge finds their keys; `log_full` says that something was left out.
-- The numbers are those of shared/step_log.py.
local function keep_log(x, key, cell, text)
  if tonumber(redis.call('HGET', x, 'log_bytes') or '0') + #text > 1048576 then
    redis.call('HSET', x, 'log_full', 1)
    return
  end
  redis.call('HINCRBY', x, 'log_bytes', #text)
  if redis.call('RPUSH', key, text) == 1 then
    local others = redis.call('HGET', x, 'logs')
    redis.call('HSET', x, 'logs', (others and others .. ',' or '') .. cell)
  end
  redis.call('LTRIM', key, -11, -1)
end
