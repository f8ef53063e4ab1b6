/** Draws the panels as one SVG, two in a row. */
import * as echarts from 'echarts'
import type { Environment } from '../lib/environment.js'
import type { Panel } from './series.js'

const PANEL_WIDTH = 560
/** One panel alone has to be as wide as the title. */
const PANEL_WIDTH_ALONE = 880
const PANEL_HEIGHT = 380
const TITLE_HEIGHT = 64
const INSET = { left: 66, right: 24, top: 62, bottom: 58 }
/** Okabe and Ito's: told apart by everybody. */
const COLORS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9']
const TEXT = '#24292f'
const GRID = '#d8dee4'

/** @returns the SVG; it has a background of its own, so that it can be read on a page of any colour */
export function drawPlot(panels: readonly Panel[], environment: Environment, durationS: number): string {
  const columns = Math.min(2, panels.length)
  const rows = Math.ceil(panels.length / Math.max(1, columns))
  const panelWidth = columns === 2 ? PANEL_WIDTH : PANEL_WIDTH_ALONE
  const width = Math.max(1, columns) * panelWidth
  const height = TITLE_HEIGHT + rows * PANEL_HEIGHT
  const chart = echarts.init(null, null, { renderer: 'svg', ssr: true, width, height })
  const places = panels.map((_, index) => ({
    left: (index % columns) * panelWidth,
    top: TITLE_HEIGHT + Math.floor(index / columns) * PANEL_HEIGHT,
  }))
  const { cpu, cores, node, commit, date } = environment
  const fine = { fontSize: 11, fontWeight: 'normal' as const, color: '#57606a' }
  chart.setOption({
    animation: false,
    backgroundColor: '#ffffff',
    textStyle: { color: TEXT, fontFamily: 'system-ui, -apple-system, DejaVu Sans, sans-serif' },
    title: [
      {
        text: 'Latency against throughput: all nodes and clients on one machine',
        subtext: `${cores} cores of ${cpu}, Node ${node}, commit ${commit}, ${date.slice(0, 10)}, ${durationS} s for each point`,
        left: INSET.left,
        top: 10,
        textStyle: { fontSize: 16, color: TEXT },
        subtextStyle: fine,
      },
      ...panels.map(({ title }, index) => ({
        text: title,
        left: places[index]!.left + INSET.left,
        top: places[index]!.top + 12,
        textStyle: { fontSize: 13, color: TEXT },
      })),
    ],
    legend: panels.map(({ series }, index) => ({
      data: [...new Set(series.map(({ name }) => ({ name: legendName(index, name) })).map(({ name }) => name))],
      formatter: (name: string) => name.slice(name.indexOf(':') + 1),
      left: places[index]!.left + INSET.left - 5,
      top: places[index]!.top + 34,
      itemWidth: 22,
      textStyle: { fontSize: 12, color: TEXT },
    })),
    grid: places.map(({ left, top }) => ({
      left: left + INSET.left,
      top: top + INSET.top,
      width: panelWidth - INSET.left - INSET.right,
      height: PANEL_HEIGHT - INSET.top - INSET.bottom,
    })),
    xAxis: panels.map((_, gridIndex) => ({
      ...axis('certified, MB/s of transactions', 30),
      gridIndex,
      type: 'value' as const,
      min: 0,
    })),
    yAxis: panels.map((_, gridIndex) => ({
      ...axis('client to certificate, ms', 44),
      gridIndex,
      type: 'log' as const,
      ...latencyRange(panels),
    })),
    series: panels.flatMap((panel, index) => seriesOptions(panel, index)),
    graphic: keyOf(width),
  })
  const svg = chart.renderToSVGString()
  chart.dispose()
  return svg
}

function axis(name: string, nameGap: number) {
  return {
    name,
    nameGap,
    nameLocation: 'middle' as const,
    nameTextStyle: { color: TEXT, fontSize: 12 },
    axisLine: { show: true, lineStyle: { color: TEXT } },
    axisLabel: { color: TEXT, fontSize: 11 },
    splitLine: { lineStyle: { color: GRID } },
  }
}

/** The same decades in every panel, so that they can be compared. */
function latencyRange(panels: readonly Panel[]): { min: number; max: number } {
  const all = panels.flatMap(({ series }) => series.flatMap(({ points }) => points.map(([, latencyMs]) => latencyMs)))
  return {
    min: 10 ** Math.floor(Math.log10(Math.min(...all, 1000))),
    max: 10 ** Math.ceil(Math.log10(Math.max(...all, 10))),
  }
}

function seriesOptions({ series }: Panel, index: number) {
  const names = [...new Set(series.map(({ name }) => name))]
  return series.map(({ name, percentile, points }) => {
    const color = COLORS[names.indexOf(name) % COLORS.length]!
    const isMedian = percentile === 'p50'
    return {
      type: 'line' as const,
      name: legendName(index, name),
      xAxisIndex: index,
      yAxisIndex: index,
      data: points.map((point) => [...point]),
      color,
      symbol: isMedian ? 'circle' : 'emptyCircle',
      symbolSize: 7,
      lineStyle: { color, width: 2, type: isMedian ? ('solid' as const) : ('dashed' as const) },
    }
  })
}

/** Panels have series of the same names; a legend finds its own by the number in front. */
function legendName(panel: number, name: string): string {
  return `${panel}:${name}`
}

/** What solid and dashed mean, in the upper right corner. */
function keyOf(width: number) {
  const entry = (x: number, text: string, lineDash: number[]) => [
    {
      type: 'line' as const,
      shape: { x1: x, y1: 22, x2: x + 28, y2: 22 },
      style: { stroke: TEXT, lineWidth: 2, lineDash },
    },
    { type: 'text' as const, x: x + 34, y: 16, style: { text, fill: TEXT, fontSize: 12 } },
  ]
  return [...entry(width - 150, 'p50', []), ...entry(width - 80, 'p99', [5, 4])]
}
