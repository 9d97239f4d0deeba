// Small line charts over time.
import { svg } from "./dom.js";

const width = 240, height = 64, points = 60;

// Chart draws up to two series in an <svg>, a point per push, the latest 60.
export class Chart {
  constructor(root, describe) {
    this.root = root;
    this.describe = describe;
    this.series = [[], []];
    root.setAttribute("viewBox", `0 0 ${width} ${height}`);
    root.setAttribute("preserveAspectRatio", "none");
    this.area = svg("path", { class: "area" });
    this.lines = [svg("path", { class: "line a" }), svg("path", { class: "line b" })];
    root.append(svg("path", { class: "base", d: `M0 ${height - 0.5}H${width}` }), this.area, this.lines[1], this.lines[0]);
  }

  // push adds a value to each series, null for a gap, and returns the peak shown.
  push(a, b) {
    for (const [i, v] of [a, b].entries()) {
      this.series[i].push(v);
      if (this.series[i].length > points) this.series[i].shift();
    }
    const peak = Math.max(0, ...this.series.flat().filter((v) => v !== null));
    const top = Math.max(1e-9, peak * 1.1);
    const paths = this.series.map((s) => outline(s, top));
    this.lines.forEach((line, i) => line.setAttribute("d", paths[i].map((run) => "M" + run.join("L")).join("")));
    this.area.setAttribute("d", paths[0].filter((run) => run.length > 1).map((run) => {
      const x = (p) => p.split(" ")[0];
      return `M${x(run[0])} ${height}L${run.join("L")}L${x(run.at(-1))} ${height}Z`;
    }).join(""));
    this.root.setAttribute("aria-label", this.describe(a, b));
    return peak;
  }
}

// outline returns a series' unbroken runs of points, the newest at the right.
function outline(series, top) {
  const runs = [];
  let run = null;
  series.forEach((v, i) => {
    if (v === null) { run = null; return; }
    const x = width - (series.length - 1 - i) * (width / (points - 1));
    const y = height - 1 - (v / top) * (height - 3);
    if (!run) runs.push(run = []);
    run.push(`${x.toFixed(1)} ${y.toFixed(1)}`);
  });
  return runs;
}
