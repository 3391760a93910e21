// check.mjs FOLDER BASE: each link in the built site leads somewhere. Pages, files and anchors of the site must be there; of a link to
// another host only the form is checked, so that the check needs no network.
import {existsSync, readFileSync, readdirSync, statSync} from 'node:fs'
import {join} from 'node:path'

const [folder, base] = process.argv.slice(2)
const own = 'https://stratio.github.io'

const walk = (dir) => readdirSync(dir, {withFileTypes: true}).flatMap((e) => (e.isDirectory() ? walk(join(dir, e.name)) : [join(dir, e.name)]))
const unescape = (text) => text.replace(/&quot;/g, '"').replace(/&#39;/g, "'").replace(/&lt;/g, '<').replace(/&gt;/g, '>').replace(/&amp;/g, '&')
const attributes = (html, names) => [...html.matchAll(new RegExp(`\\s(?:${names})="([^"]*)"`, 'g'))].map((m) => unescape(m[1]))

const pages = new Map() // file -> its anchors
const html = new Map()
for (const file of walk(folder).filter((f) => f.endsWith('.html'))) {
  html.set(file, readFileSync(file, 'utf8'))
  pages.set(file, new Set(attributes(html.get(file), 'id')))
}

// fileOf finds the file of a path of the site, as a host of static pages does.
function fileOf(path) {
  for (const candidate of [path, `${path}.html`, join(path, 'index.html')]) {
    const file = join(folder, candidate)
    if (existsSync(file) && statSync(file).isFile()) return file
  }
}

function fault(link, from) {
  let url
  try {
    const place = new URL(own + base + from.slice(folder.length).replace(/^\//, ''))
    url = new URL(link, place)
  } catch {
    return 'is no URL'
  }
  if (!['https:', 'http:', 'mailto:'].includes(url.protocol)) return `has the scheme ${url.protocol}`
  if (url.origin !== own) return url.protocol === 'http:' ? 'is not https' : ''
  if (!url.pathname.startsWith(base)) return `is outside ${base}`
  const file = fileOf(decodeURIComponent(url.pathname.slice(base.length)))
  if (!file) return 'leads to no file'
  const anchor = decodeURIComponent(url.hash.slice(1))
  if (anchor && pages.has(file) && !pages.get(file).has(anchor)) return 'leads to no heading'
  return ''
}

let links = 0
let faults = 0
for (const [file, text] of html) {
  const name = file.slice(folder.length + 1)
  if (name.endsWith('404.html')) continue
  if (name !== 'index.html' && !/<h[12][^>]* id="/.test(text)) {
    faults++
    console.error(`${name}: has no heading: rendering it failed`)
  }
  for (const link of attributes(text, 'href|src')) {
    links++
    const what = fault(link, file)
    if (what) {
      faults++
      console.error(`${name}: ${link} ${what}`)
    }
  }
}
for (const version of readdirSync(folder, {withFileTypes: true}).filter((e) => e.isDirectory())) {
  if (!walk(join(folder, version.name)).some((file) => file.includes('localSearchIndex'))) {
    faults++
    console.error(`${version.name}: has no search index`)
  }
}
console.log(`${html.size} pages, ${links} links, ${faults} faults`)
if (html.size < 20 || links < 500) {
  console.error('that is too little: is the site built?')
  process.exit(1)
}
process.exit(faults ? 1 : 0)
