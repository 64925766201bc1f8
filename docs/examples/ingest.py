# Measures a stream in Python and sends it to a collector with --ingest-port.
# INGEST=http://127.0.0.1:8089 python3 docs/examples/ingest.py
import json, os, time, urllib.request, uuid

def tokens():  # Any iterator over the chunks of an answer.
    for text in ["It ", "scatters", "."]:
        time.sleep(0.02)
        yield text

started_at, sent = time.time_ns() // 1000, time.monotonic_ns()
times = []
for text in tokens():
    times.append((time.monotonic_ns() - sent) // 1000)
    print(text, end="", flush=True)

gaps = [after - before for before, after in zip([0, *times], times)]
record = {"request_id": str(uuid.uuid4()), "model": "llama", "endpoint": "pool-a", "provider": "python",
          "started_at": started_at, "gaps_us": gaps,
          "end": {"status": "ok", "duration_us": times[-1], "ttft_us": gaps[0], "chunks": len(gaps)}}
request = urllib.request.Request(os.environ["INGEST"] + "/v1/token-events", json.dumps(record).encode(),
                                 {"content-type": "application/json"})
print(urllib.request.urlopen(request).read().decode())
