import { spawnSync } from 'node:child_process'
import { expect } from 'chai'

describe('bus/telemetry', () => {
  it('is a page for Prometheus when the standard variable says so', () => {
    const path = new URL('telemetry-page.ts', import.meta.url).pathname
    const { stdout: page, stderr } = spawnSync(process.execPath, [path], { encoding: 'utf8' })
    expect(stderr).equal('')
    expect(page).match(/^# TYPE latency_lens_events_total counter$/m)
    expect(page).match(/^latency_lens_events_total\{stage="windowing",name="late".*\} 3$/m)
    expect(page).match(/^target_info\{.*service_name="lens-windowing"/m)
    expect(page).match(/^target_info\{.*host_name="./m)
  })
})
