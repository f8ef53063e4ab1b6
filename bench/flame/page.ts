/** The page: one file, with its styles, its scripts and its data in it. */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import type { FlameNode } from './cpu-profile.js'
import { ROOT } from './project.js'
import type { Table } from './tables.js'

export interface Page {
  readonly title: string
  /** What was measured, on what, how: name and value. */
  readonly facts: readonly (readonly [name: string, value: string])[]
  /** The few figures to read first. */
  readonly figures: readonly { readonly value: string; readonly label: string }[]
  readonly tables: readonly Table[]
  readonly graphs: readonly Graph[]
  /** How to read it, and what it does not say. */
  readonly notes: readonly string[]
}

export interface Graph {
  readonly thread: string
  /** A line under the thread's name. */
  readonly summary: string
  /** `value` in milliseconds of CPU a second; undefined where the thread gave no profile. */
  readonly root: FlameNode | undefined
}

/**
 * d3-flame-graph's bundle for browsers takes what it needs from a global `d3`, which each of these adds to; each before
 * those that need it.
 */
const LIBRARIES = [
  'd3-selection',
  'd3-dispatch',
  'd3-timer',
  'd3-ease',
  'd3-color',
  'd3-interpolate',
  'd3-transition',
  'd3-array',
  'd3-format',
  'd3-time',
  'd3-time-format',
  'd3-scale',
  'd3-hierarchy',
]

export function renderPage(page: Page): string {
  const { title, facts, figures, tables, graphs, notes } = page
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)}</title>
<style>${escapeRaw(asset('page.css'), 'style')}</style>
</head>
<body>
<header>
<h1>${escapeHtml(title)}</h1>
<dl class="facts">${facts.map(([name, value]) => `<div><dt>${escapeHtml(name)}</dt><dd>${escapeHtml(value)}</dd></div>`).join('')}</dl>
</header>
<section class="figures">${figures.map(({ value, label }) => `<div><b>${escapeHtml(value)}</b><span>${escapeHtml(label)}</span></div>`).join('')}</section>
${tables.map(renderTable).join('\n')}
<section class="graphs">
<div class="bar">
<h2>Flamegraphs</h2>
<span class="legend"><i class="narval"></i>narval<i class="dependency"></i>packages<i class="node"></i>Node<i class="native"></i>native<i class="gc"></i>GC</span>
<input id="search" type="search" placeholder="search: a function or a file" aria-label="search">
<span id="matches"></span>
<button id="reset" type="button">reset zoom</button>
</div>
<p class="hint">As wide as its CPU time; callers above, what they called below. Click to zoom in, on a thread’s name to zoom out.</p>
${graphs.map(renderGraph).join('\n')}
</section>
<section class="notes"><h2>How to read it</h2><ul>${notes.map((note) => `<li>${escapeHtml(note)}</li>`).join('')}</ul></section>
<script type="application/json" id="graphs">${escapeJson(graphs.map(({ root }) => root ?? null))}</script>
${[...LIBRARIES.map(bundleOf), flamegraphBundle(), asset('page.js')].map((text) => `<script>${escapeRaw(text, 'script')}</script>`).join('\n')}
</body>
</html>
`
}

function renderTable({ title, columns, textColumns, rows, sumRows }: Table): string {
  const kind = (column: number): string => (column < textColumns ? '' : ' class="number"')
  const head = columns.map((label, column) => `<th${kind(column)}>${escapeHtml(label)}</th>`).join('')
  const body = rows.map((cells, index) => {
    const columns = cells.map(({ text, bar }, column) => {
      const style = bar === undefined ? '' : ` style="--share:${(Math.min(1, bar) * 100).toFixed(1)}%"`
      return `<td${kind(column)}${style}>${escapeHtml(text)}</td>`
    })
    return `<tr${index >= rows.length - sumRows ? ' class="sum"' : ''}>${columns.join('')}</tr>`
  })
  return `<section><h2>${escapeHtml(title)}</h2><div class="scroll"><table><thead><tr>${head}</tr></thead><tbody>${body.join('\n')}</tbody></table></div></section>`
}

function renderGraph({ thread, summary, root }: Graph, index: number): string {
  const graph = root === undefined ? '' : `<div class="graph" data-graph="${index}"></div>`
  return `<article><h3 data-reset="${index}">${escapeHtml(thread)}</h3><p>${escapeHtml(summary)}</p>${graph}</article>`
}

export function escapeHtml(text: string): string {
  const entities: Readonly<Record<string, string>> = {
    '&': '&amp;',
    '<': '&lt;',
    '>': '&gt;',
    '"': '&quot;',
    "'": '&#39;',
  }
  return text.replaceAll(/[&<>"']/g, (character) => entities[character]!)
}

/** JSON inside an element: without any `<`, nothing in it can end the element or begin a comment. */
export function escapeJson(value: unknown): string {
  return JSON.stringify(value)
    .replaceAll('<', '\\u003c')
    .replaceAll('\u2028', '\\u2028')
    .replaceAll('\u2029', '\\u2029')
}

/**
 * A script or a style inside its element, which ends at the first `</script` whatever that is a part of. In a string, a
 * regular expression or a comment of JavaScript, where alone it can be, `<\/script` says the same; so does `<\!--`.
 */
export function escapeRaw(text: string, element: 'script' | 'style'): string {
  return text.replaceAll(new RegExp(`</(?=${element})`, 'gi'), '<\\/').replaceAll('<!--', '<\\!--')
}

function asset(name: string): string {
  return readFileSync(join(ROOT, 'bench/flame/page', name), 'utf8')
}

const flamegraphFile = createRequire(join(ROOT, 'package.json')).resolve('d3-flame-graph')

/** It brings its styles along. */
function flamegraphBundle(): string {
  return readFileSync(join(dirname(flamegraphFile), 'd3-flamegraph.umd.min.js'), 'utf8')
}

/** The bundle that a package of d3 names for browsers, as d3-flame-graph would find the package. */
function bundleOf(name: string): string {
  const entry = createRequire(flamegraphFile).resolve(name)
  const directory = entry.slice(0, entry.lastIndexOf(join('node_modules', name)) + join('node_modules', name).length)
  const { jsdelivr } = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8')) as { jsdelivr: string }
  return readFileSync(join(directory, jsdelivr), 'utf8')
}
