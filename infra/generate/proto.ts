/**
 * Writes schemas/proto/lake.proto from the datasets.
 * usage: npm run generate        (test/infra/docs.test.ts fails when it is stale)
 */
import { writeFileSync } from 'node:fs'
import { DATASETS } from '../../services/formats/datasets.ts'
import { protoText } from '../../services/formats/protobuf-schema.ts'

export const LAKE_PROTO = new URL('../../schemas/proto/lake.proto', import.meta.url)

if (import.meta.main) writeFileSync(LAKE_PROTO, protoText(DATASETS))
