// Draws concurrent users over the day with uPlot: today, yesterday, and a horizontal line for each alert level.

const HEADROOM = 1.1;
const LEVELS = { warning: "--warm", critical: "--danger", design: "--muted" };

export class Curve {
  constructor(place, caption, given) {
    this.place = place;
    this.caption = caption;
    this.given = given;
    this.steps = Math.max(given.yesterday.length, Math.round(86400 / given.step_s));
    this.today = { together: [], asr: [], tts: [] };
    this.take(given.today);
    this.draw();
    new ResizeObserver(() => this.resize()).observe(place);
    new MutationObserver(() => this.draw()).observe(document.documentElement, { attributeFilter: ["class"] });
  }

  get lastStep() {
    return Math.max(0, this.today.together.length - 1);
  }

  /** Update the curve from a step on. Returns false if a new day has begun and the whole curve is needed. */
  take(end) {
    if (!end) return true;
    if (end.day !== this.given.today.day) {
      if (end.first !== 0) return false;
      location.reload(); // after midnight, yesterday's curve must change too
      return true;
    }
    for (const name of Object.keys(this.today)) {
      this.today[name].length = end.first;
      this.today[name].push(...end[name]);
    }
    this.chart?.setData(this.data());
    return true;
  }

  data() {
    const { midnight, step_s: step, yesterday } = this.given;
    const times = Array.from({ length: this.steps + 1 }, (_, index) => midnight + index * step);
    const filled = (values) => times.map((_, index) => values[index] ?? null);
    return [times, filled(yesterday), filled(this.today.together)];
  }

  colour(name) {
    // An element is needed, because the value of a custom property may itself be an expression.
    const probe = this.place.appendChild(document.createElement("i"));
    probe.style.color = `var(${name})`;
    const found = getComputedStyle(probe).color;
    probe.remove();
    return found;
  }

  top(highest) {
    return HEADROOM * Math.max(10, highest ?? 0, ...Object.values(this.given.levels).filter(Boolean));
  }

  size() {
    return { width: this.place.clientWidth, height: this.place.clientHeight };
  }

  draw() {
    const [fill, faint, quiet, line] = ["--accent", "--edge", "--muted", "--line"].map((name) => this.colour(name));
    const font = "12px Inter, system-ui, sans-serif";
    const hours = new Intl.DateTimeFormat("en-GB", { timeZone: this.given.zone, hour: "2-digit", minute: "2-digit" });
    const clock = (seconds) => hours.format(new Date(seconds * 1000)).replace(/^24/, "00");
    const { midnight, step_s: step } = this.given;
    const isNarrow = this.place.clientWidth < 420;
    const ticks = Array.from({ length: 9 }, (_, index) => midnight + index * 3 * 3600).filter(
      (_, index) => !isNarrow || index % 2 === 0,
    );
    this.chart?.destroy();
    this.place.replaceChildren();
    this.chart = new uPlot(
      {
        ...this.size(),
        padding: [8, 18, 0, 0],
        legend: { show: false },
        cursor: { y: false, drag: { x: false, y: false }, points: { size: 7 } },
        scales: {
          x: { range: [midnight, midnight + 86400] },
          y: { range: (_chart, _low, high) => [0, this.top(high)] },
        },
        axes: [
          {
            stroke: quiet, font, size: 28, gap: 7, ticks: { show: false }, grid: { stroke: line, width: 1 },
            splits: () => ticks,
            values: (_chart, splits) =>
              splits.map((at) => (at === midnight + 86400 ? "24:00" : clock(at))),
          },
          { stroke: quiet, font, size: 32, gap: 6, ticks: { show: false }, grid: { show: false },
            splits: () => this.marks() },
        ],
        series: [
          {},
          { stroke: faint, width: 1.5, points: { show: false } },
          { stroke: fill, width: 2, fill: `color-mix(in srgb, ${fill} 12%, transparent)`, points: { show: false } },
        ],
        hooks: {
          drawClear: [(chart) => this.drawLevels(chart)],
          setCursor: [(chart) => this.tell(chart.cursor.idx, clock, midnight, step)],
        },
      },
      this.data(),
      this.place,
    );
  }

  /** Label only zero and the levels on the vertical axis, because other numbers would distract from them. */
  marks() {
    const levels = Object.values(this.given.levels).filter(Boolean);
    return [0, ...levels.filter((level, index) => levels.indexOf(level) === index)].sort((a, b) => a - b);
  }

  drawLevels(chart) {
    const { ctx, bbox } = chart;
    ctx.save();
    ctx.lineWidth = devicePixelRatio;
    ctx.setLineDash([4 * devicePixelRatio, 4 * devicePixelRatio]);
    for (const [name, variable] of Object.entries(LEVELS)) {
      const level = this.given.levels[name];
      if (!level) continue;
      const y = Math.round(chart.valToPos(level, "y", true)) + 0.5;
      ctx.strokeStyle = this.colour(variable);
      ctx.beginPath();
      ctx.moveTo(bbox.left, y);
      ctx.lineTo(bbox.left + bbox.width, y);
      ctx.stroke();
    }
    ctx.restore();
  }

  tell(index, clock, midnight, step) {
    if (index === null || index === undefined) {
      this.caption.textContent = "";
      return;
    }
    const said = [clock(midnight + index * step)];
    const now = this.today.together[index];
    const before = this.given.yesterday[index];
    if (now !== undefined && now !== null) {
      said.push(`${now} today (ASR ${this.today.asr[index]}, TTS ${this.today.tts[index]})`);
    }
    if (before !== undefined && before !== null) said.push(`${before} yesterday`);
    this.caption.textContent = said.join(" · ");
  }

  resize() {
    const { width, height } = this.size();
    if (this.chart && width && (width !== this.chart.width || height !== this.chart.height)) {
      this.draw();
    }
  }
}
