import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect } from 'chai'
import type { DiskReport } from './lake-disk-child.ts'

const CHILD = new URL('lake-disk-child.ts', import.meta.url).pathname
const DISK_BYTES = 1024 * 1024

/** A disk of its own, of memory, that ends with the child: needs Linux's namespaces, no rights. */
const MOUNTED = 'mount -t tmpfs -o "size=$2" none "$1" && exec "$3" "$4" "$1" "$2"'

// Others have no such disks; in CI, Linux is what it runs on.
const onLinux = process.platform === 'linux' ? describe : () => {}

onLinux('faults/lake-disk', function () {
  this.timeout(120_000)
  let folder: string

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'lens-full-'))
  })
  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  it('waits for a disk that is full, and has every record once when it is not', async () => {
    const args = ['-Urm', 'sh', '-c', MOUNTED, 'sh']
    const given = [folder, String(DISK_BYTES), process.execPath, CHILD]
    const { stdout } = await promisify(execFile)('unshare', [...args, ...given])
    const report = JSON.parse(stdout) as DiskReport
    expect(report.said).match(/waiting \d+ ms: cannot write .*: the disk is full/)
    expect(report.met).at.least(5)
    // It filled while the exporter wrote.
    expect(report.markersThen).within(1, 7)
    expect(report.markersNow).equal(8)
    expect(report.faults).deep.equal([])
    expect(report.findings).deep.equal([])
    expect(report.rows).equal(160)
    expect(report.temporaries).deep.equal([])
  })
})
