-- Two written-out parts of a commit: the kept one, and the one that is dropped when the inbox has moved. ARGV[PARTS] holds twelve
-- numbers: of each kind first how many there are in the kept part, then how many in the other:
--   1, 2 fields that are written once (results)  3, 4 fields that may be overwritten  5, 6 runs of cells  7, 8 lines of the history
--   9, 10 commands for the outbox  11, 12 texts that are stored apart (see apart.lua)
-- Behind it there are the things themselves, kind by kind, but all fields of a part together:
--   (field, value), (offset, bytes), line, (id, entry), (key number, cell, text)
-- A number is a byte; or of four bytes, all of them, behind a byte of 255. To make one of digits costs the server more than to look
-- up a field.
local many = {string.byte(ARGV[PARTS], 1, 12)}
if many[1] == 255 then
  for kind = 1, 12 do
    local a, b, c, d = string.byte(ARGV[PARTS], 4 * kind - 2, 4 * kind + 1)
    many[kind] = ((a * 256 + b) * 256 + c) * 256 + d
  end
end
-- These fields of the record, and which of those that are written once it has; nil for none, as most often.
local function read(x, names)
  local count, place, there = #names, PARTS + 1, nil
  local total = count
  for part = 1, 2 do
    for once = 1, many[part] do names[total + once] = ARGV[place + 2 * once - 2] end
    total, place = total + many[part], place + 2 * (many[part] + many[part + 2])
  end
  local found = redis.call('HMGET', x, unpack(names, 1, math.min(total, 1000)))
  for start = 1001, total, 1000 do
    local more = redis.call('HMGET', x, unpack(names, start, math.min(total, start + 999)))
    for number = 1, #more do found[start + number - 1] = more[number] end
  end
  for number = count + 1, total do
    if found[number] then
      there = there or {}
      there[names[number]] = true
    end
  end
  return found, there
end
-- Whether there is nothing in the kept part.
local function nothing()
  return many[1] + many[3] + many[5] + many[7] + many[9] + many[11] == 0
end
-- Write these (field, value) into the record.
local function put(x, fields)
  for start = 1, #fields, 1000 do redis.call('HSET', x, unpack(fields, start, math.min(#fields, start + 999))) end
end
-- Write cells and lines of the kept part, and of the other one too if `all` is wanted. Fields only go into `fields`, for one HSET with
-- whatever else changes (see put); but not those that are `there`. Neighbouring runs of cells are one SETRANGE.
-- Returns the position behind them, the ids of the first and the last line and the new status; nil for none.
-- `seq` spreads lines of one millisecond by itself: XADD with '*'.
local function write(cells, h, all, fields, there)
  local place, count, status, first, last, offset, run = PARTS + 1, #fields, nil, nil, nil, nil, nil
  for part = 1, 2 do
    local behind = place + 2 * (many[part] + many[part + 2])
    for field = place, (all or part == 1) and behind - 1 or 0, 2 do
      local name = ARGV[field]
      if not there or not there[name] then
        fields[count + 1], fields[count + 2] = name, ARGV[field + 1]
        count = count + 2
        if name == 'status' then status = ARGV[field + 1] end
      end
    end
    place = behind
  end
  local behind = place + 2 * (many[5] + many[6])
  for field = place, all and behind - 1 or place + 2 * many[5] - 1, 2 do
    local from, some = tonumber(ARGV[field]), ARGV[field + 1]
    if run and from >= offset and from <= offset + #run then
      run = string.sub(run, 1, from - offset) .. some .. string.sub(run, from - offset + #some + 1)
    else
      if run then redis.call('SETRANGE', cells, offset, run) end
      offset, run = from, some
    end
  end
  if run then redis.call('SETRANGE', cells, offset, run) end
  place, behind = behind, behind + many[7] + many[8]
  for line = place, all and behind - 1 or place + many[7] - 1 do
    last = redis.call('XADD', h, '*', 'l', ARGV[line])
    first = first or last
  end
  return behind, first, last, status
end
