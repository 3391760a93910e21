// The configuration of VitePress for one version of the documentation. build.mjs copies it beside the sources.
import {execFileSync} from 'node:child_process'
import {existsSync, readFileSync, readdirSync, statSync} from 'node:fs'
import {dirname, join, posix, relative, sep} from 'node:path'
import {fileURLToPath} from 'node:url'
import {defineConfig} from 'vitepress'

const {top, version, versions, base, outDir} = JSON.parse(process.env.KEOS_OCI_SITE)
const root = dirname(dirname(fileURLToPath(import.meta.url)))
const repository = 'https://github.com/stratio/keos-oci'

// slugify names the anchor of a heading as GitHub does, so that links work there and here.
const slugify = (text) => text.trim().toLowerCase().replace(/[^\p{L}\p{N} _-]/gu, '').replace(/ /g, '-')

const title = (file) => /^#+ (.+)$/m.exec(readFileSync(join(root, file), 'utf8'))[1].replace(/`/g, '')
const files = (folder) => readdirSync(join(root, folder)).filter((name) => name.endsWith('.md') && name !== 'README.md').sort()
const items = (folder) => files(folder).map((name) => ({text: title(posix.join(folder, name)), link: `/${folder}/${name.replace(/\.md$/, '')}`}))

// kind is blob or tree for a path of the repository in this version, and an error for one that is not there.
function kind(path, from) {
  if (version === 'main') {
    if (!existsSync(join(top, path))) throw new Error(`dead link ${path} in ${from}`)
    return statSync(join(top, path)).isDirectory() ? 'tree' : 'blob'
  }
  return execFileSync('git', ['cat-file', '-t', `${version}:${path}`], {cwd: top, encoding: 'utf8'}).trim()
}

// linkRepository points links to files that are not on the site, such as workflows, to the repository.
function linkRepository(md) {
  md.core.ruler.push('link_repository', (state) => {
    const from = state.env.path && relative(root, state.env.path).split(sep).join('/')
    for (const token of state.tokens.flatMap((t) => t.children ?? [])) {
      const href = token.type === 'link_open' ? token.attrGet('href') : null
      if (!from || !href || /^([a-z]+:|#|\/)/.test(href)) continue
      const [path] = href.split('#')
      const target = posix.join(posix.dirname(from), decodeURI(path))
      if (/\.(md|svg)$/.test(target) && existsSync(join(root, target))) continue
      token.attrSet('href', `${repository}/${kind(target, from)}/${version}/${target}`)
    }
  })
}

// dropComments: comments are for the tests of the guides.
const dropComments = (md) =>
  md.core.ruler.before('normalize', 'drop_comments', (state) => {
    state.src = state.src.replace(/^<!--.*?-->$/gm, '')
  })

export default defineConfig({
  title: 'keos-oci',
  description: 'Publish GitOps components as signed OCI artifacts and move the tags that clusters follow',
  base: `${base}${version}/`,
  outDir,
  cleanUrls: true,
  rewrites: {'README.md': 'index.md', 'docs/guides/README.md': 'docs/guides/index.md'},
  markdown: {
    html: false, // <layer> in a text is not HTML
    anchor: {slugify},
    toc: {slugify},
    headers: {slugify},
    config: (md) => {
      dropComments(md)
      linkRepository(md)
      md.renderer.rules.code_inline = (tokens, i) => `<code v-pre>${md.utils.escapeHtml(tokens[i].content)}</code>`
    },
  },
  themeConfig: {
    search: {provider: 'local'},
    outline: [2, 3],
    nav: [
      {text: 'Guides', link: '/docs/guides/'},
      {text: 'Commands', link: '/docs/cli/keos-oci'},
      {text: 'Architecture', link: '/docs/architecture'},
      {
        text: version,
        items: versions.map((v) => ({text: v, link: `/../${v}/`, target: '_self'})), // beside this version, and no page of it
      },
    ],
    sidebar: [
      {text: 'keos-oci', items: [{text: 'Start', link: '/'}, {text: 'Security', link: '/SECURITY'}, {text: 'Contributing', link: '/CONTRIBUTING'}]},
      {text: 'Guides', items: [{text: 'Which guide?', link: '/docs/guides/'}, ...items('docs/guides')]},
      {text: 'Commands', collapsed: true, items: items('docs/cli')},
      {text: 'Architecture', link: '/docs/architecture'},
      {text: 'Decisions', collapsed: true, items: items('docs/decisions')},
    ],
    socialLinks: [{icon: 'github', link: repository}],
  },
})
