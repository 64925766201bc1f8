import { expect } from 'chai'
import { defaultModels } from '../../../services/engine/models.ts'
import { withEngine } from './fixture.ts'

describe('engine server', () => {
  it('lists its models and says that it is well', async () => {
    await withEngine(defaultModels, async (engine) => {
      const models = await (await fetch(`${engine.url}/v1/models`)).json()
      const { data } = models as { data: { id: string }[] }
      expect(data.map(({ id }) => id)).to.deep.equal(['tiny-chat', 'medium-chat', 'large-chat'])
      const health = await fetch(`${engine.url}/healthz?verbose=1`)
      expect([health.status, await health.json()]).to.deep.equal([200, { status: 'ok' }])
    })
  })

  it('answers 404 for an unknown path and 405 for a wrong method', async () => {
    await withEngine(defaultModels, async (engine) => {
      const unknown = await fetch(`${engine.url}/v1/embeddings`, { method: 'POST', body: '{}' })
      expect(unknown.status).to.equal(404)
      expect(await unknown.json()).to.have.nested.property('error.message')
      const wrong = await fetch(`${engine.url}/v1/chat/completions`)
      expect([wrong.status, wrong.headers.get('allow')]).to.deep.equal([405, 'POST'])
      await wrong.text()
    })
  })
})
