-- Takes the lease, unless an entry is there that the caller has not seen, or another one holds it.
-- A lease without an expiry can't be ours and is taken over, as is what is no token at all: nobody
-- will give that up. One that is the caller's already was
-- taken by the first sending of this very request.
local entry, lease = KEYS[1], KEYS[2]
local token, life, force, seen, limit = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
if force ~= '1' then
  local id = redis.pcall('GETRANGE', entry, 8, 23)
  if type(id) == 'string' and #id == 16 and id ~= seen
     and redis.call('STRLEN', entry) <= limit then
    return {2, redis.call('GET', entry)}
  end
  local holder = redis.pcall('GET', lease)
  if type(holder) == 'string' and #holder == 32 and not string.find(holder, '[^0-9a-f]')
     and holder ~= token then
    local left = redis.call('PTTL', lease)
    if left >= 0 then
      return {1, left}
    end
  end
end
redis.call('SET', lease, token, 'PX', life)
return {0}
