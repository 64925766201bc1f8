import { OTLP_PROTO, pythonWith, runPython } from './python.ts'

const SCRIPT = `
import json, sys
from google.protobuf import json_format
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
out = []
for path in sys.argv[1:]:
    request = ExportMetricsServiceRequest()
    body = open(path, 'rb').read()
    if path.endswith('.json'): json_format.Parse(body, request)
    else: request.ParseFromString(body)
    out.append(json_format.MessageToDict(request, preserving_proto_field_name=True))
print(json.dumps(out))
`

/** The fields of an ExportMetricsServiceRequest that tell of its metrics. */
export interface DecodedRequest {
  readonly resource_metrics: readonly [
    {
      readonly resource: unknown
      readonly scope_metrics: readonly [{ scope: unknown; metrics: readonly DecodedMetric[] }]
    },
  ]
}

interface DecodedMetric {
  readonly name: string
  readonly unit?: string
  readonly description?: string
  readonly gauge?: { readonly data_points: readonly { readonly as_double: number }[] }
}

/** Request bodies (.json or protobuf) as Google's protobuf reads them; wide integers are texts. */
export async function readOtlp(paths: readonly string[]): Promise<readonly DecodedRequest[]> {
  return runPython<DecodedRequest[]>(await pythonWith(OTLP_PROTO), SCRIPT, paths)
}
