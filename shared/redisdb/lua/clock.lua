-- Unix milliseconds by this server's clock; ARGV[1] replaces it in tests and the simulator only.
local function clock(override)
  if override ~= '' then return tonumber(override) end
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
