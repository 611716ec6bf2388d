-- wrk sends each request when the schedule says so, whether or not earlier ones are answered, and counts its latency from
-- that moment. Each line of the schedule is an arrival: microseconds since the moment in a file, then, separated by tabs,
-- path and form (both optional; with a form it is a POST). Those before that moment, with negative times, are a warm-up
-- and not counted. Every free connection waits for one of the next arrivals; when all connections wait for answers,
-- arrivals are sent late, and that is counted too.
--
--     wrk --threads 1 --connections 50 --duration 1h --script arrivals.lua http://127.0.0.1/ -- arrivals.txt begins
--
-- The server must return the number in the query `arrival` as the header X-Arrival: wrk does not tell which connection an
-- answer came on.
local ffi = require("ffi")
ffi.cdef [[
   struct arrivals_time { long seconds; long microseconds; };
   int gettimeofday(struct arrivals_time *, void *);
]]

local NEVER_MS = 86400 * 1000
local time = ffi.new("struct arrivals_time")
local schedule
local requests, claimed = {}, 0
due = {}   -- of the arrivals that connections wait for, or whose answers are due; global like all that `done` reads
sent, answered, non_2xx, unmatched = 0, 0, 0, 0
late_us, latency_us = {}, {}

-- The clock of wrk's timers, in microseconds.
local function now_us()
   ffi.C.gettimeofday(time, nil)
   return tonumber(time.seconds) * 1e6 + tonumber(time.microseconds)
end

-- Takes the next arrival from the schedule. A closed loop takes no times from it, and begins again when it ends.
local function claim()
   local line = schedule:read("*l")
   if not line and closed then
      schedule:seek("set")
      line = schedule:read("*l")
   end
   if not line then return false end
   local at, path, form = line:match("^(-?%d+)\t?([^\t]*)\t?(.*)$")
   claimed = claimed + 1
   due[claimed], requests[claimed] = closed and now_us() or started_us + at, {path, form}
   return true
end

function setup(thread)
   sender = thread
end

function init(arguments)
   schedule_path, closed = arguments[1], arguments[2] == "closed"
   schedule = assert(io.open(schedule_path))
   if closed then
      delay = nil   -- then each connection sends as soon as it has its answer
   else
      started_us = 1e6 * assert(io.open(arguments[2])):read("*n")
   end
   head = " HTTP/1.1\r\nHost: " .. wrk.headers["Host"] .. "\r\n"
   if wrk.headers["Connection"] then head = head .. "Connection: " .. wrk.headers["Connection"] .. "\r\n" end
end

-- Milliseconds until the next arrival that no other connection waits for. wrk counts whole milliseconds of its clock, so
-- the first that is not too early is chosen.
function delay()
   if not claim() then return NEVER_MS end
   return math.max(0, math.ceil(due[claimed] / 1000) - math.floor(now_us() / 1000))
end

-- The request of the first arrival not yet sent: connections get their turn in the order of the schedule.
function request()
   if not asked then   -- wrk looks at a request before it starts
      asked = true
      return wrk.format()
   end
   if closed then
      started_us = started_us or now_us()
      claim()
   end
   sent = sent + 1
   if not closed and due[sent] >= started_us then late_us[#late_us + 1] = now_us() - due[sent] end
   local path, form = requests[sent][1], requests[sent][2]
   requests[sent] = nil
   path = path == "" and wrk.path or path
   path = path .. (path:find("?", 1, true) and "&" or "?") .. "arrival=" .. sent
   if form == "" then return "GET " .. path .. head .. "\r\n" end
   return "POST " .. path .. head .. "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: " .. #form
      .. "\r\n\r\n" .. form
end

function response(status, headers, body)
   local arrival = tonumber(headers["X-Arrival"])
   if not arrival or not due[arrival] then
      unmatched = unmatched + 1
      return
   end
   if due[arrival] >= started_us then
      answered = answered + 1
      latency_us[answered] = now_us() - due[arrival]
   end
   due[arrival] = nil
   if status < 200 or status > 299 then non_2xx = non_2xx + 1 end
end

local function line_of(name, values)
   if #values == 0 then return end
   table.sort(values)
   local sum = 0
   for _, value in ipairs(values) do sum = sum + value end
   local function percentile(share) return values[math.max(1, math.ceil(share * #values))] / 1000 end
   print(string.format("%s ms: mean %.3f p50 %.3f p90 %.3f p99 %.3f max %.3f", name, sum / #values / 1000,
      percentile(0.5), percentile(0.9), percentile(0.99), percentile(1)))
end

-- How many arrivals were due from the moment in the file until then; in a closed loop, how many requests were sent.
local function due_by(ended_us)
   if sender:get("closed") then return sender:get("sent") end
   local arrivals = 0
   for line in io.lines(sender:get("schedule_path")) do
      local at = tonumber(line:match("^-?%d+"))
      if at > ended_us - sender:get("started_us") then break end
      if at >= 0 then arrivals = arrivals + 1 end
   end
   return arrivals
end

-- Runs in a state of its own.
function done(summary, latency, rates)
   local ended_us, errors = now_us(), summary.errors
   local oldest_us = ended_us
   for _, due_us in pairs(sender:get("due")) do oldest_us = math.min(oldest_us, due_us) end
   print(string.format("arrivals: %d due in %.3f s, %d answered, %d non-2xx, %d failed, oldest unanswered %.3f s",
      due_by(ended_us), (ended_us - sender:get("started_us")) / 1e6, sender:get("answered"), sender:get("non_2xx"),
      errors.connect + errors.read + errors.write + sender:get("unmatched"), (ended_us - oldest_us) / 1e6))
   line_of("late", sender:get("late_us"))
   line_of("latency from the arrival", sender:get("latency_us"))
end
