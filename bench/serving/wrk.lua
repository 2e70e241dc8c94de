-- Requests for wrk: the bodies named in BODIES (length-prefixed, one after the other), in turn; results as one JSON line.
local bodies, turn = {}, 0

function init()
  local file = assert(io.open(os.getenv("BODIES"), "rb"))
  while true do
    local size = file:read("*n")
    if not size then break end
    file:read(1)
    bodies[#bodies + 1] = wrk.format("POST", "/invocations", {["Content-Type"] = os.getenv("CONTENT_TYPE")}, file:read(size))
  end
  file:close()
end

function request()
  turn = turn % #bodies + 1
  return bodies[turn]
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '{"requests":%d,"microseconds":%d,"p50":%d,"p99":%d,"max":%d,"connect":%d,"read":%d,"write":%d,"status":%d,"timeout":%d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), latency.max,
    errors.connect, errors.read, errors.write, errors.status, errors.timeout))
end
