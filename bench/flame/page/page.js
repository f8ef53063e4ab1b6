// Draws the flamegraphs: a classical script, after those of d3 and d3-flame-graph.
;(() => {
  const roots = JSON.parse(document.getElementById('graphs').textContent)
  const node = roots.reduce((sum, root) => sum + (root?.value ?? 0), 0)
  const styles = getComputedStyle(document.documentElement)
  const colourOf = (kind) => styles.getPropertyValue(`--${kind}`).trim()
  const found = 'rgb(230, 60, 230)'

  const share = (part, whole) => (whole === 0 ? '0 %' : `${((100 * part) / whole).toFixed(1)} %`)
  const ms = (value) => `${value >= 100 ? value.toFixed(0) : value.toFixed(2)} ms/s`
  const titleOf = ({ name, where, stage, value, self }, root) =>
    [
      name,
      where,
      `${ms(value)}, ${share(value, root.value)} of the thread, ${share(value, node)} of all threads shown`,
      `of its own: ${ms(self)}`,
      `stage: ${stage}`,
    ]
      .filter((line) => line !== '')
      .join('\n')

  const charts = new Map()
  for (const element of document.querySelectorAll('[data-graph]')) {
    const index = Number(element.dataset.graph)
    const root = roots[index]
    const chart = flamegraph
      .default()
      .width(element.clientWidth)
      .cellHeight(19)
      .minFrameSize(1)
      .transitionDuration(250)
      .inverted(true)
      .sort(false)
      .title('')
      .setColorMapper((d) => (d.highlight ? found : shade(colourOf(d.data.kind), d.data.name)))
      .setSearchMatch((d, term) => matches(d.data, term))
      .tooltip(flamegraph.tooltip.defaultFlamegraphTooltip().text((d) => titleOf(d.data, root)))
    d3.select(element).datum(root).call(chart)
    charts.set(index, chart)
  }

  function matches({ name, where, stage }, term) {
    return [name, where, stage].some((text) => text.toLowerCase().includes(term))
  }

  /** Neighbours of one kind differ a little, by their names. */
  function shade(colour, name) {
    let hash = 0
    for (const character of name) hash = (hash * 31 + character.codePointAt(0)) % 97
    const { h, c, l } = d3.hcl(colour)
    return d3.hcl(h, c, Math.min(92, l + 6 + (hash / 97) * 14)).formatRgb()
  }

  /** CPU of the topmost frames that match: what a match calls is in it already. */
  function matched(frame, term) {
    if (matches(frame, term)) return frame.value
    return frame.children.reduce((sum, child) => sum + matched(child, term), 0)
  }

  const search = document.getElementById('search')
  const result = document.getElementById('matches')
  search.addEventListener('input', () => {
    const term = search.value.trim().toLowerCase()
    for (const chart of charts.values()) {
      if (term === '') chart.clear()
      else chart.search(term)
    }
    const cpu = roots.reduce((sum, root) => sum + (root === null || term === '' ? 0 : matched(root, term)), 0)
    result.textContent = term === '' ? '' : `${ms(cpu)}, ${share(cpu, node)}`
  })
  document.getElementById('reset').addEventListener('click', () => {
    for (const chart of charts.values()) chart.resetZoom()
  })
  for (const heading of document.querySelectorAll('[data-reset]')) {
    heading.addEventListener('click', () => charts.get(Number(heading.dataset.reset))?.resetZoom())
  }
  addEventListener('resize', () => {
    for (const [index, chart] of charts) {
      chart.width(document.querySelector(`[data-graph="${index}"]`).clientWidth).update()
    }
  })
})()
