-- Notes that a node was seen, by this server's clock, or that it leaves. Lets go of a few others that
-- were not seen for as long as the hash lives, and of what is no node's text: all of them would be more
-- than a script should look at, and every report looks at some.
-- KEYS: nodes. ARGV: id, text, whether it leaves, the life of the hash in milliseconds.
local nodes, id, text, leaves, life = KEYS[1], ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local some = redis.pcall('HRANDFIELD', nodes, 10, 'WITHVALUES')
if some.err then
  if not string.find(some.err, 'WRONGTYPE') then
    return some
  end
  redis.call('DEL', nodes)
  some = {}
end
if leaves ~= '1' then
  redis.call('HSET', nodes, id, string.format('seen_ms=%.0f&', now) .. text)
  redis.call('PEXPIRE', nodes, life)
else
  redis.call('HDEL', nodes, id)
end
for at = 1, #some, 2 do
  local seen = tonumber(string.match(some[at + 1], '^seen_ms=(%d+)'))
  if some[at] ~= id and not (seen and math.abs(now - seen) <= life) then
    redis.call('HDEL', nodes, some[at])
  end
end
return 1
