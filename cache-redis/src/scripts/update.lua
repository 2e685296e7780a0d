-- Ends what was stored before a write: where the lease is the caller's and every tag has the stamp
-- that was noted, each tag that is not kept gets a new one; else it is removed, and the lease too.
-- The entry goes in any case. An answer of 1 says that they were as noted.
-- KEYS: entry, lease, tags. ARGV: token, how many tags are kept, the life of a stamp, for each tag
-- the one noted, for each that is not kept a fresh one.
-- One server has all of these names, so one script may compare all before it changes any. Over several
-- slots each turn of the second loop would be a script of its own, comparing for its tag alone, before
-- one for entry and lease, with what was made removed again where a later part does not match.
local tags, kept = #KEYS - 2, tonumber(ARGV[2])
local matched = redis.pcall('GET', KEYS[2]) == ARGV[1]
for tag = 1, tags do
  matched = redis.pcall('GET', KEYS[2 + tag]) == ARGV[3 + tag] and matched
end
for tag = kept + 1, tags do
  if matched then
    redis.call('SET', KEYS[2 + tag], ARGV[3 + tags + tag - kept], 'PX', ARGV[3])
  else
    redis.call('DEL', KEYS[2 + tag])
  end
end
redis.call('DEL', KEYS[1])
if matched then
  return 1
end
redis.call('DEL', KEYS[2])
return 0
