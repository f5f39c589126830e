-- A tenant's account: KEYS 1 sums  2 accounts  3 tails  4 looks, in every command that includes this.
-- An account is `granted:charged:ver:asked`; its reserve is granted - charged. An execution in `tails` is over, and keeps what its
-- last messages may still cost until then. How many run is how many accounts there are, without the tails.
local sums, accounts, tails, looks = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
-- The sums as they stand: `open` reads them at once, and the answer writes what changed, once, whatever it went through.
local book, moved, stored = {}, {}, {}
local function set(name, value)
  book[name] = value
  moved[name] = true
end
local function add(name, delta)
  if delta ~= 0 then set(name, book[name] + delta) end
end
local function account(id)
  if stored[id] == nil then
    local text = redis.call('HGET', accounts, id)
    local granted, charged, ver, asked = string.match(text or '', '^(%d+):(%d+):(%d+):(%d+)$')
    stored[id] = granted and
      {granted = tonumber(granted), charged = tonumber(charged), ver = tonumber(ver), asked = tonumber(asked)} or false
  end
  local one = stored[id]
  return one and {granted = one.granted, charged = one.charged, ver = one.ver, asked = one.asked} or nil
end
local function put(id, after)
  local before = account(id) or {granted = 0, charged = 0, asked = 0}
  local new = after or {granted = 0, charged = 0, asked = 0}
  if after then
    redis.call('HSET', accounts, id, string.format('%d:%d:%d:%d', after.granted, after.charged, after.ver, after.asked))
    stored[id] = {granted = after.granted, charged = after.charged, ver = after.ver, asked = after.asked}
  else
    redis.call('HDEL', accounts, id)
    redis.call('ZREM', tails, id)
    redis.call('ZREM', looks, id)
    stored[id] = false
  end
  add('reserved', (new.granted - new.charged) - (before.granted - before.charged))
  add('waiting', new.asked - before.asked)
end
-- What was used is spent and no longer reserved. `used` counts from the beginning, so a repeat changes nothing.
local function charge(one, used)
  local fresh = used - one.charged
  if fresh <= 0 then return end
  add('day_spent', fresh)
  add('month_spent', fresh)
  one.charged = used
  one.granted = math.max(one.granted, used)
end
-- Twelve times the year plus the months before it, of a day since 1970 (Hinnant's civil_from_days).
local function month_of(day)
  local z = day + 719468
  local era = math.floor(z / 146097)
  local doe = z - era * 146097
  local yoe = math.floor((doe - math.floor(doe / 1460) + math.floor(doe / 36524) - math.floor(doe / 146096)) / 365)
  local doy = doe - (365 * yoe + math.floor(yoe / 4) - math.floor(yoe / 100))
  local march = math.floor((5 * doy + 2) / 153)
  return (yoe + era * 400) * 12 + march + 2
end
-- A new day and a new month begin with nothing spent; a clock that goes back begins none. Tails whose time is over leave.
local function open(now, offset)
  local names = {'day_spent', 'month_spent', 'reserved', 'waiting'}
  local known = redis.call('HMGET', sums, 'day_spent', 'month_spent', 'reserved', 'waiting', 'day', 'month')
  for at, name in ipairs(names) do book[name] = tonumber(known[at] or '0') end
  local day = math.floor((now + tonumber(offset)) / 86400000)
  if day > tonumber(known[5] or '-1') then
    set('day', day)
    set('day_spent', 0)
    local month = month_of(day) -- which begins with a day, and never without
    if month > tonumber(known[6] or '-1') then
      set('month', month)
      set('month_spent', 0)
    end
  end
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', tails, '-inf', now, 'LIMIT', 0, 100)) do put(id, nil) end
end
local function running() return redis.call('HLEN', accounts) - redis.call('ZCARD', tails) end
-- Every command answers {code, now, spent of the day, spent of the month, reserved, running, waiting}.
local function answer(code, now)
  local fields = {}
  for name in pairs(moved) do
    fields[#fields + 1] = name
    fields[#fields + 1] = book[name]
  end
  if #fields > 0 then redis.call('HSET', sums, unpack(fields)) end
  return {code, now, book.day_spent, book.month_spent, book.reserved, running(), book.waiting}
end
-- Which limit has no room for so many units more: 1 day, 2 month, 0 neither. A limit of 0 is none.
local function full(units, day, month)
  if tonumber(month) > 0 and book.month_spent + units > tonumber(month) then return 2 end
  if tonumber(day) > 0 and book.day_spent + units > tonumber(day) then return 1 end
  return 0
end
