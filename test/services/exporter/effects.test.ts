import { expect } from 'chai'
import { createEffectHandler, lakeFileBytes } from '../../../services/exporter/effects.ts'
import type { OtlpSender } from '../../../services/exporter/otlp-sender.ts'
import type { ObjectStore } from '../../../services/exporter/store.ts'
import { otlpMetrics, otlpPoints, otlpProtobuf } from '../../../services/formats/otlp.ts'
import { aggregate } from '../formats/records.ts'
import { ended, give, processorOf } from './lake-log.ts'

const SENDER_STATS = {
  requests: 0,
  retries: 0,
  pointsAccepted: 0,
  pointsRejected: 0,
  requestsRejected: 0,
  lastRejection: null,
}

describe('exporter/effects', () => {
  it('puts the bytes of a file under its path', async () => {
    const puts = new Map<string, Uint8Array>()
    const store: ObjectStore = {
      describe: '',
      put: async (path, bytes) => void puts.set(path, bytes),
    }
    const carryOut = createEffectHandler(store, null)
    const { effects } = give(processorOf(), [ended(0, 0), ended(1, 60_000)])
    for (const effect of effects) await carryOut(effect)
    expect([...puts.keys()]).to.deep.equal([effects[0]!.path])
    expect(puts.get(effects[0]!.path)).to.deep.equal(lakeFileBytes(effects[0]!))
    expect(Buffer.from(puts.get(effects[0]!.path)!.subarray(0, 4)).toString()).to.equal('PAR1')
  })

  it('sends an export with the number of its points', async () => {
    const sent: [Uint8Array, number][] = []
    const sender: OtlpSender = {
      stats: SENDER_STATS,
      send: async (body, points) => void sent.push([body, points]),
    }
    const points = otlpPoints(aggregate())
    const store: ObjectStore = { describe: '', put: () => Promise.reject(new Error('no file')) }
    const carryOut = createEffectHandler(store, sender)
    await carryOut({ kind: 'otlp-export', points, instance: 'i' })
    expect(sent).to.deep.equal([[otlpProtobuf(otlpMetrics(points, 'i')), points.length]])
    const off = createEffectHandler(store, null)({ kind: 'otlp-export', points, instance: 'i' })
    expect(await off.catch((error: Error) => error.message)).to.match(/without an endpoint/)
  })
})
