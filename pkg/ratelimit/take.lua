-- Takes one call out of a bucket, by the generic cell rate algorithm (GCRA): one
-- number per bucket says when it will be full again. It is in microseconds of
-- Redis's own clock, so that replicas whose clocks differ share one time.
--
-- KEYS[1]  the bucket
-- ARGV[1]  microseconds until one call is refilled
-- ARGV[2]  calls that the bucket holds
-- Answers: taken (1 or 0), calls that remain, microseconds until the bucket is
-- full, microseconds until a refused call would be taken.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local interval, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local full = math.max(tonumber(redis.call('GET', KEYS[1]) or now), now)
local room = burst * interval - (full - now)
-- Half a microsecond of rounding must not cost a customer a call.
if room + 0.5 < interval then
  return {0, 0, math.ceil(full - now), math.ceil(interval - room)}
end
full = full + interval
-- A full bucket is no bucket: the key goes when it would be full again.
redis.call('SET', KEYS[1], string.format('%.0f', full), 'PX', math.ceil((full - now) / 1000))
return {1, math.max(0, math.floor((room - interval + 0.5) / interval)), math.ceil(full - now), 0}
