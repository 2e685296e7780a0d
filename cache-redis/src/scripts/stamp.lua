-- Makes a stamp where there is none, or prolongs the one that is there. What is no stamp is replaced.
local stamp, fresh, twice, life = KEYS[1], ARGV[1], ARGV[2], tonumber(ARGV[3])
local now = redis.pcall('GET', stamp)
if type(now) == 'string' and #now == 16 and not string.find(now, '[^0-9a-f]')
   and now ~= '0000000000000000' then
  if redis.call('PTTL', stamp) < life then
    redis.call('PEXPIRE', stamp, twice)
  end
  return 0
end
redis.call('SET', stamp, fresh, 'PX', twice)
return 1
