// build.mjs FOLDER: builds the documentation of main and of released versions into FOLDER, each into a folder of its own. A version is a Git
// tag vX.Y.Z. main is the work tree, so a change can be looked at before it is committed. SITE_VERSIONS=main builds main alone.
import {execFileSync} from 'node:child_process'
import {cpSync, mkdirSync, readdirSync, rmSync, writeFileSync, existsSync} from 'node:fs'
import {dirname, join, resolve} from 'node:path'
import {fileURLToPath} from 'node:url'

const site = dirname(fileURLToPath(import.meta.url))
const top = dirname(site)
const out = resolve(process.argv[2])
const stage = join(top, '.cache', 'site-src') // below .cache, where node_modules is
const sources = ['README.md', 'SECURITY.md', 'CONTRIBUTING.md', 'docs']
const base = process.env.SITE_BASE ?? '/keos-oci/'

const git = (...args) => execFileSync('git', args, {cwd: top, encoding: 'utf8', maxBuffer: 1 << 28})

// released gives the versions of the site, newest first: the last patch release of each of the five newest minor versions. A version from
// before the site has no docs/architecture.md and is left out.
function released() {
  if (process.env.SITE_VERSIONS === 'main') return []
  const tags = git('tag', '--list', 'v*', '--sort=-version:refname').split('\n').filter((tag) => /^v\d+\.\d+\.\d+$/.test(tag))
  const minor = (tag) => tag.replace(/\.\d+$/, '')
  const last = tags.filter((tag, i) => tags.findIndex((other) => minor(other) === minor(tag)) === i)
  return last.filter((tag) => git('ls-tree', '--name-only', tag, 'docs/architecture.md') !== '').slice(0, 5)
}

function copySources(version, folder) {
  if (version === 'main') {
    for (const source of sources) cpSync(join(top, source), join(folder, source), {recursive: true})
    return
  }
  const archive = execFileSync('git', ['archive', version, ...sources], {cwd: top, maxBuffer: 1 << 28})
  execFileSync('tar', ['-x', '-C', folder], {input: archive})
}

function build(version, versions) {
  const folder = join(stage, version)
  mkdirSync(folder, {recursive: true})
  copySources(version, folder)
  cpSync(join(site, 'config.mjs'), join(folder, '.vitepress', 'config.mjs'))
  const vitepress = join(top, '.cache', 'node_modules', 'vitepress', 'bin', 'vitepress.js')
  const settings = {top, version, versions, base, outDir: join(out, version)}
  execFileSync(process.execPath, [vitepress, 'build', folder], {
    stdio: ['ignore', process.env.SITE_QUIET ? 'ignore' : 'inherit', 'inherit'],
    env: {...process.env, KEOS_OCI_SITE: JSON.stringify(settings)},
  })
}

rmSync(stage, {recursive: true, force: true})
rmSync(out, {recursive: true, force: true})
const versions = [...released(), 'main']
for (const version of versions) build(version, versions)
writeFileSync(
  join(out, 'index.html'),
  `<!doctype html><meta charset="utf-8"><title>keos-oci</title><meta http-equiv="refresh" content="0; url=${base}${versions[0]}/">` +
    `<a href="${base}${versions[0]}/">keos-oci ${versions[0]}</a>\n`,
)
if (!existsSync(join(out, versions[0], 'index.html'))) throw new Error(`no start page: ${readdirSync(out)}`)
console.log(`${versions.length} versions in ${out}: ${versions.join(', ')}`)
