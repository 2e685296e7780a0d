-- Adds what a node has counted, unless this report of its, or a later one, is in already: one that is
-- sent again counts once. Returns whether it added.
-- KEYS: the figures of a minute. ARGV: the node's field, the sequence of its report, when the hash ends,
-- then names, each with what is added. Amounts stay texts: a number of Lua's is exact to 2^53 only.
local figures, node, sequence, ends = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
local fresh = redis.call('PTTL', figures) == -2
local last = redis.pcall('HGET', figures, node)
if type(last) == 'table' then
  if not string.find(last.err, 'WRONGTYPE') then
    return last
  end
  redis.call('DEL', figures)
  fresh, last = true, false
end
if last and #last <= 15 and string.find(last, '^%d+$') and tonumber(last) >= tonumber(sequence) then
  return 0
end
-- What a script has written before it fails stays written. So whatever a user may lack the right to is
-- done once before the first figure counts, and taken back: counted without the sequence, the report
-- would be counted again.
local function refused(error)
  if fresh then
    redis.call('DEL', figures)
  else
    redis.call('HSET', figures, node, last or '0')
  end
  return error
end
redis.call('HSET', figures, node, sequence)
local ending = redis.pcall('PEXPIREAT', figures, ends)
if type(ending) == 'table' then
  return refused(ending)
end
if redis.call('PTTL', figures) == -2 then
  -- Too old to be kept.
  return 0
end
for at = 4, #ARGV, 2 do
  local name, by = ARGV[at], ARGV[at + 1]
  local added = redis.pcall('HINCRBY', figures, name, by)
  if type(added) == 'table' then
    if string.find(added.err, 'not an integer') then
      redis.call('HSET', figures, name, by)
    elseif not string.find(added.err, 'overflow') then
      -- The first one, or none: they differ in nothing that could be refused.
      return refused(added)
    end
  end
end
return 1
