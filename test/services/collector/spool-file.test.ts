import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { expect } from 'chai'
import { createSpoolFaults } from '../../../services/collector/spool-faults.ts'
import { createHandClock } from './hand-clock.ts'
import { folderOf, openIn, upTo } from './spool-fixture.ts'

const ROOT = new URL('../../../', import.meta.url).pathname
const NAME = 'spool.sqlite'
const PLACE = { topic: 'a', partition: 3 }

function recordsOf(count: number, bytes = 200, from = 0) {
  return upTo(from + count, from).map((seq) => ({
    ...PLACE,
    record: { key: `k${seq}`, value: Buffer.alloc(bytes, seq), seq },
  }))
}

/** A process that has `spool` on the folder in its first argument. */
const PRELUDE = `
  import { openSpool } from './services/collector/spool.ts'
  const say = (line) => console.log(line)
  const spool = openSpool({ folder: process.argv[1], bytesMax: 1e9, log: say })
  const value = Buffer.alloc(1000, 1)
  const some = (from) => Array.from({ length: 100 }, (_, i) =>
    ({ topic: 'a', partition: 3, record: { key: 'k', value, seq: from + i } }))`

describe('collector/spool-file', function () {
  this.timeout(20_000)

  it('belongs to one process, and outlives one that is killed', async () => {
    const folder = folderOf()
    const code = `${PRELUDE}
      spool.add(some(0))
      await spool.begin('a', 3, spool.oldest('a', 3, 10 * 1000))
      say('ready')
      setInterval(() => {}, 1000)`
    const child = spawn(process.execPath, ['--input-type=module', '-e', code, folder], {
      cwd: ROOT,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let errors = ''
    child.stderr.on('data', (bytes) => {
      errors += bytes
    })
    await once(child.stdout, 'data')
    expect(() => openIn(folder))
      .to.throw(/spool\.sqlite is in use by another process; give each collector a --spool of its/)
      .with.property('code', 'configuration_invalid')
    const exited = once(child, 'exit')
    child.kill('SIGKILL')
    await exited
    expect(errors).to.equal('')
    const spool = openIn(folder)
    expect(spool.stats()).to.include({ restored: 100, unknown: 9, records: 91, setAside: 0 })
    expect(spool.nextSeq).to.equal(100)
    expect(spool.oldest('a', 3, 1)[0]!.seq).to.equal(9)
    spool.close()
    expect(openIn(folder).stats()).to.include({ restored: 91, unknown: 0 })
  })

  it('belongs to one queue of a process', () => {
    const folder = folderOf()
    openIn(folder)
    expect(() => openIn(folder)).to.throw(/in use/)
  })

  it('says what to do when the folder is none', () => {
    const file = join(folderOf(), 'file')
    writeFileSync(file, '')
    expect(() => openIn(file))
      .to.throw(/--spool names a folder that we can write/)
      .with.property('code', 'configuration_invalid')
  })

  const damages: Readonly<Record<string, (path: string) => void>> = {
    'is no database': (path) => writeFileSync(path, 'something else, and long enough'.repeat(99)),
    'has lost its end': (path) => writeFileSync(path, readFileSync(path).subarray(0, 9000)),
    'has other bytes in the middle': (path) => {
      const bytes = readFileSync(path)
      writeFileSync(path, bytes.fill(7, bytes.length / 2, bytes.length / 2 + 5000))
    },
    'belongs to another program': (path) => {
      writeFileSync(path, '')
      const other = new DatabaseSync(path)
      other.exec('CREATE TABLE theirs (a); PRAGMA application_id = 5')
      other.close()
    },
    'is of a later version': (path) => {
      const later = new DatabaseSync(path)
      later.exec('PRAGMA user_version = 2')
      later.close()
    },
  }
  for (const [what, damage] of Object.entries(damages)) {
    it(`is renamed and begun anew when it ${what}`, () => {
      const folder = folderOf()
      for (let round = 1; round <= 2; round++) {
        const spool = openIn(folder)
        spool.add(recordsOf(500))
        spool.close()
        damage(join(folder, NAME))
        const bytes = readFileSync(join(folder, NAME))
        const lines: string[] = []
        const again = openIn(folder, { log: (line) => lines.push(line) })
        expect(again.stats()).to.include({ setAside: 1, restored: 0, records: 0 })
        const aside = join(folder, `${NAME}.damaged-${round}`)
        expect(readFileSync(aside).equals(bytes)).to.equal(true)
        expect(lines).to.have.length(1)
        expect(lines[0]).to.contain(aside)
        expect(again.add(recordsOf(10))).to.equal(10)
        again.close()
      }
    })
  }

  for (const bytes of [20, 236, 2000, 5000, 9000, 16_350, 20_000]) {
    it(`stays within its size, with records of ${bytes} bytes`, () => {
      const folder = folderOf()
      const bytesMax = 8 << 20
      const spool = openIn(folder, { bytesMax })
      let seq = 0
      while (spool.add(recordsOf(100, bytes, seq)) === 100) seq += 100
      expect(spool.trouble()).to.equal('spool_full')
      seq += 100
      const { records } = spool.stats()
      expect(records * (bytes + 5)).to.be.greaterThan(bytesMax * 0.3)
      expect(statSync(join(folder, `${NAME}-wal`)).size).to.be.at.most(8 << 20)
      // Room that was freed is used again.
      for (let i = 0; i < 20; i++) {
        spool.end('a', 3, spool.oldest('a', 3, 1 << 20), false)
        while (spool.add(recordsOf(100, bytes, seq)) === 100) seq += 100
        seq += 100
      }
      spool.close()
      expect(statSync(join(folder, NAME)).size).to.be.at.most(bytesMax * 1.1)
      expect(readdirSync(folder)).to.deep.equal([NAME])
    })
  }

  it('gives its room back when it is opened and empty', () => {
    const folder = folderOf()
    const spool = openIn(folder)
    spool.add(recordsOf(4000))
    spool.end('a', 3, spool.oldest('a', 3, 1e9), false)
    spool.close()
    expect(statSync(join(folder, NAME)).size).to.be.greaterThan(500_000)
    openIn(folder).close()
    expect(statSync(join(folder, NAME)).size).to.be.lessThan(200_000)
  })

  // A limit on the size of files is the nearest thing to a full disk that needs no rights.
  it('takes nothing while the disk takes nothing, keeps what it has, and never throws', () => {
    const folder = folderOf()
    const code = `${PRELUDE}
      let seq = 0
      let taken = 0
      for (const end = Date.now() + 1500; Date.now() < end; seq += 100) {
        taken += spool.add(some(seq))
        if (seq > 1000) await new Promise((resolve) => setTimeout(resolve, 20))
      }
      const begun = await spool.begin('a', 3, spool.oldest('a', 3, 5000)).catch((e) => e.code)
      say(JSON.stringify({ taken, begun, trouble: spool.trouble(), ...spool.stats() }))`
    const command = 'ulimit -f 4000 && exec "$@"'
    const node = [process.execPath, '--input-type=module', '-e', code, folder]
    const options = { cwd: ROOT, encoding: 'utf8' as const }
    const { stdout, stderr } = spawnSync('sh', ['-c', command, 'sh', ...node], options)
    expect(stderr).to.equal('')
    const lines = stdout.trim().split('\n')
    expect(lines.filter((line) => line.includes('told once a minute'))).to.have.length(1)
    const { taken, trouble, records, written } = JSON.parse(lines.at(-1)!)
    expect(trouble).to.equal('spool_failed')
    expect(taken).to.be.within(200, 4000)
    expect({ records, written }).to.deep.equal({ records: taken, written: taken })
    expect(openIn(folder).stats()).to.include({ setAside: 0, restored: taken })
  })

  it('takes nothing for a second after a fault, and then also for a new partition', async () => {
    const clock = createHandClock()
    const spool = openIn(folderOf(), { clock })
    const [first, second] = recordsOf(2)
    expect(spool.add([first!, first!])).to.equal(0)
    expect(spool.add([second!])).to.equal(0)
    expect(spool.trouble()).to.equal('spool_failed')
    await clock.advance(1000)
    expect(spool.add([second!])).to.equal(1)
    expect(spool.oldest('a', 3, 1)).to.deep.include(second!.record)
  })

  it('tells of a fault once a minute, and lets the disk rest for a second', async () => {
    const clock = createHandClock()
    const lines: string[] = []
    const faults = createSpoolFaults('/x', (line) => lines.push(line), clock)
    const fail = () => {
      throw new Error('disk I/O error')
    }
    expect(faults.guard('read', () => {})).to.equal(true)
    expect(faults.resting()).to.equal(false)
    for (let i = 0; i < 60; i++) {
      expect(faults.guard('write', fail)).to.equal(false)
      expect(faults.resting()).to.equal(true)
      await clock.advance(1000)
      expect(faults.resting()).to.equal(false)
    }
    expect(lines).to.deep.equal(['cannot write the spool /x: disk I/O error; told once a minute'])
    faults.guard('write', fail)
    expect(lines).to.have.length(2)
  })
})
