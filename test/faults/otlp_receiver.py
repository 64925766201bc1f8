"""Receives OTLP over HTTP: Python's own server, OpenTelemetry's own messages.
usage: PYTHON otlp_receiver.py PORT METRIC

GET / gives, as JSON, each different point of that metric that has come, and how often.
"""

import gzip
import json
import sys
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)

PORT, METRIC = int(sys.argv[1]), sys.argv[2]
seen = Counter()
lock = Lock()


def points(request):
    for resource in request.resource_metrics:
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                if metric.name == METRIC:
                    yield from metric.sum.data_points


def text(point):
    labels = {each.key: each.value.string_value for each in point.attributes}
    value = point.as_int if point.HasField("as_int") else point.as_double
    end_ms = point.time_unix_nano // 1_000_000
    return json.dumps([labels, end_ms, value], sort_keys=True)


class Receiver(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        request = ExportMetricsServiceRequest()
        request.ParseFromString(body)
        with lock:
            seen.update(text(point) for point in points(request))
        self.answer("application/x-protobuf", ExportMetricsServiceResponse().SerializeToString())

    def do_GET(self):
        with lock:
            all_points = [[json.loads(point), times] for point, times in seen.items()]
        self.answer("application/json", json.dumps(all_points).encode())

    def answer(self, kind, body):
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


ThreadingHTTPServer(("127.0.0.1", PORT), Receiver).serve_forever()
