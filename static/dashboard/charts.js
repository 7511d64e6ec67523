// Draws each chart from the table below it, so both always show the same values.

const DAY_S = 86_400;
const HEIGHT = { screen: 200, paper: 150 };
const ON_PAPER = 318; // width in CSS pixels of one of two plots beside each other on A4; see dashboard.css

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const fixed = (digits) => new Intl.NumberFormat("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
const upTo = (digits) => new Intl.NumberFormat("en", { maximumFractionDigits: digits });

// The formats of values: in full beside the chart, and shorter on its axis.
const FORMS = {
  number: { full: (v) => whole.format(v), axis: (v, highest) => (highest < 10_000 ? upTo(1) : compact).format(v) },
  tenths: { full: (v) => fixed(1).format(v), axis: (v, highest) => (highest < 10_000 ? upTo(1) : compact).format(v) },
  score: { full: (v) => fixed(2).format(v), axis: (v) => upTo(2).format(v) },
  seconds: { full: (v) => `${fixed(2).format(v)} s`, axis: (v) => `${upTo(2).format(v)} s` },
  share: { full: (v) => `${fixed(1).format(100 * v)} %`, axis: (v) => `${upTo(2).format(100 * v)} %` },
  usd: { full: (v) => `USD ${fixed(2).format(v)}`, axis: (v) => upTo(2).format(v) },
  "usd-fine": { full: (v) => `USD ${fixed(v < 1 ? 4 : 2).format(v)}`, axis: (v) => upTo(4).format(v) },
};

const EVENTS = JSON.parse(document.getElementById("events")?.textContent ?? "[]").map((event) => ({
  ...event,
  at: Date.parse(event.day) / 1000,
}));

const MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");
const LINES = [
  { colour: "--series-1", dash: [] },
  { colour: "--series-2", dash: [9, 4] }, // dashes distinguish the lines without colour
  { colour: "--series-3", dash: [2, 3] },
];

function read(card) {
  const [head, body] = [card.querySelector("thead"), card.querySelector("tbody")];
  const columns = [...head.querySelectorAll("th")].map((th) => ({ ...th.dataset, label: th.textContent, values: [] }));
  for (const row of body.rows) {
    [...row.cells].forEach((cell, place) => columns[place].values.push(cell.dataset.v ?? null));
  }
  const days = columns[0].values.map((day) => Date.parse(day) / 1000);
  for (const column of columns) column.values = column.values.map((value) => (value === null ? null : Number(value)));
  const soFar = [...body.rows].map((row) => row.cells[0].dataset.unfinished ?? "");
  return { days, columns, soFar };
}

function colours() {
  // An element is needed, because the value of a custom property may itself be an expression.
  const probe = document.createElement("i");
  document.body.append(probe);
  const found = {};
  for (const name of ["--series-1", "--series-2", "--series-3", "--line", "--muted", "--danger", "--surface"]) {
    probe.style.color = `var(${name})`;
    found[name] = getComputedStyle(probe).color;
  }
  probe.remove();
  return found;
}

const dayLabel = (seconds, year) => {
  const day = new Date(seconds * 1000);
  return `${day.getUTCDate()} ${MONTHS[day.getUTCMonth()]}${year ? ` ${day.getUTCFullYear()}` : ""}`;
};

// Returns the days to label on the horizontal axis: as many as fit, at equal intervals.
function dayTicks(days, width) {
  const fits = Math.max(2, Math.floor(width / 72));
  const step = Math.max(1, Math.ceil(days.length / fits));
  return days.filter((_, index) => (days.length - 1 - index) % step === 0);
}

function targetLine(target, palette) {
  return (chart) => {
    const [at, from, to] = [chart.valToPos(target, "y", true), chart.bbox.left, chart.bbox.left + chart.bbox.width];
    if (at < chart.bbox.top || at > chart.bbox.top + chart.bbox.height) return;
    const { ctx } = chart;
    ctx.save();
    ctx.strokeStyle = palette["--danger"];
    ctx.lineWidth = 1.25 * devicePixelRatio;
    ctx.setLineDash([5 * devicePixelRatio, 4 * devicePixelRatio]);
    ctx.beginPath();
    ctx.moveTo(from, at);
    ctx.lineTo(to, at);
    ctx.stroke();
    ctx.restore();
  };
}

// Draws the confidence interval as a band behind the line, on the days that have one.
function band(low, high, days, colour) {
  return (chart) => {
    const { ctx } = chart;
    const known = days.map((_, index) => index).filter((index) => low[index] !== null && high[index] !== null);
    if (known.length === 0) return;
    const point = (index, values) => [chart.valToPos(days[index], "x", true), chart.valToPos(values[index], "y", true)];
    ctx.save();
    ctx.beginPath();
    ctx.rect(chart.bbox.left, chart.bbox.top, chart.bbox.width, chart.bbox.height);
    ctx.clip();
    ctx.globalAlpha = 0.16;
    ctx.fillStyle = ctx.strokeStyle = colour;
    ctx.lineWidth = 3 * devicePixelRatio; // makes the band of a single value visible
    ctx.beginPath();
    known.forEach((index) => ctx.lineTo(...point(index, high)));
    [...known].reverse().forEach((index) => ctx.lineTo(...point(index, low)));
    ctx.closePath();
    ctx.fill();
    ctx.stroke();
    ctx.restore();
  };
}

// Draws a numbered mark for each event. A list on the page explains the numbers.
function eventMarks(events, palette) {
  return (chart) => {
    const { ctx } = chart;
    const size = 11 * devicePixelRatio;
    let free = -Infinity;
    ctx.save();
    ctx.font = `${size}px ${getComputedStyle(document.body).fontFamily}`;
    ctx.textAlign = "center";
    ctx.lineWidth = devicePixelRatio;
    for (const event of events) {
      const x = chart.valToPos(event.at, "x", true);
      ctx.strokeStyle = palette["--muted"];
      ctx.setLineDash([2 * devicePixelRatio, 3 * devicePixelRatio]);
      ctx.beginPath();
      ctx.moveTo(x, chart.bbox.top);
      ctx.lineTo(x, chart.bbox.top + chart.bbox.height);
      ctx.stroke();
      const half = ctx.measureText(event.place).width / 2 + 3 * devicePixelRatio;
      if (x - half < free) continue; // the number is left out, because it would overlap the previous one
      free = x + half;
      ctx.fillStyle = palette["--surface"];
      ctx.fillRect(x - half, chart.bbox.top, 2 * half, size * 1.3);
      ctx.fillStyle = palette["--muted"];
      ctx.fillText(event.place, x, chart.bbox.top + size);
    }
    ctx.restore();
  };
}

function draw(plot, data, kind, width, height) {
  const palette = colours();
  const drawn = data.columns.filter((column) => column.plot === plot.dataset.plot);
  const byName = (name) => data.columns.find((column) => column.name === name)?.values;
  const bands = drawn.filter((column) => column.low).map((column) => ({ low: byName(column.low), high: byName(column.high) }));
  const isShown = (event) => event.at >= data.days[0] && event.at < data.days.at(-1) + gap;
  const gap = data.days.length > 1 ? data.days[1] - data.days[0] : DAY_S;
  const events = EVENTS.filter(isShown);
  const form = FORMS[drawn[0].form];
  const target = drawn[0].target === undefined ? null : Number(drawn[0].target);
  const font = `${isPrinting ? 10 : 12}px ${getComputedStyle(document.body).fontFamily}`;
  // The values of an unfinished day are drawn apart, because they would otherwise look like a fall. If such a value is
  // more than twice as high as all others, it does not count for the scale, because it would flatten the others.
  const isOver = (index) => !data.soFar[index];
  const apart = data.soFar.some(Boolean) ? drawn.map((column, place) => ({ column, place })).filter(({ column }) => !column.ghost) : [];
  const values = [...drawn.map((column) => column.values), ...bands.flatMap(({ low, high }) => [low, high])];
  const known = values.flatMap((some) => some.filter((value, index) => value !== null && isOver(index)));
  const soFar = apart.flatMap(({ column }) => column.values.filter((value, index) => value !== null && !isOver(index)));
  const most = Math.max(...known, target ?? 0, 0);
  const shown = [...known, ...soFar.filter((value) => value <= 2 * most || known.length === 0)];
  const highest = Math.max(...shown, target ?? 0, 0);
  const lowest = Math.min(...shown, target ?? Infinity);
  const isFromZero = drawn[0].form !== "score"; // the lowest opinion score is 1
  const readout = plot.querySelector(".readout");

  const tell = (index) => {
    const known = data.days.map((_, place) => place).filter((place) => drawn.some((column) => column.values[place] !== null));
    const at = index ?? known.filter(isOver).at(-1) ?? known.at(-1); // by default the last finished day
    readout.replaceChildren();
    if (data.days[at] === undefined) return;
    drawn.forEach((column, place) => {
      const value = column.values[at];
      const item = document.createElement("span");
      if (column.ghost) item.className = "key key-ghost";
      else if (drawn.length > 1) item.className = `key key-${place + 1}`;
      if (column.label !== column.plot) item.append(`${column.label.split(", ").at(-1)} `);
      const figure = document.createElement("b");
      figure.textContent = value === null ? "–" : FORMS[column.form].full(value);
      item.append(figure);
      readout.append(item);
    });
    const day = document.createElement("span");
    day.textContent = [dayLabel(data.days[at], true), data.soFar[at]].filter(Boolean).join(", ");
    readout.append(day);
    const marks = events.filter((event) => event.at >= data.days[at] && event.at < data.days[at] + gap);
    for (const event of index === null || index === undefined ? [] : marks) {
      const mark = document.createElement("span");
      mark.className = "event";
      mark.textContent = `${event.place} ${event.text}`;
      readout.append(mark);
    }
    if (target !== null) {
      const aim = document.createElement("span");
      aim.className = "key key-target";
      aim.textContent = drawn[0].targetLabel;
      readout.append(aim);
    }
  };

  const axis = { stroke: palette["--muted"], font, ticks: { show: false } };
  const chart = new uPlot(
    {
      width,
      height,
      legend: { show: false },
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
      cursor: { y: false, drag: { x: false, y: false }, points: { size: 7 } },
      scales: {
        x: { time: true, range: (_chart, min, max) => (kind === "bars" || min === max ? [min - gap * 0.6, max + gap * 0.6] : [min, max]) },
        y: {
          range: () => {
            if (isFromZero) return [0, highest > 0 ? highest * 1.1 : 1];
            const room = Math.max(0.1, (highest - lowest) * 0.2);
            return [Math.max(1, lowest - room), Math.min(5, highest + room)];
          },
        },
      },
      axes: [
        {
          ...axis,
          grid: { show: false },
          size: 30,
          splits: () => dayTicks(data.days, width - 70),
          values: (_chart, splits) => splits.map((day) => dayLabel(day, data.days.length * (gap / DAY_S) > 400)),
        },
        {
          ...axis,
          grid: { stroke: palette["--line"], width: 1 },
          size: (_chart, values) => 18 + 6.6 * Math.max(...(values ?? [""]).map((value) => value.length)),
          values: (_chart, splits) => splits.map((value) => form.axis(value, highest)),
          space: isPrinting ? 20 : 30,
        },
      ],
      series: [
        {},
        ...drawn.map((column, place) => column.ghost ? {
          label: column.label,
          stroke: palette["--muted"],
          width: 1.25,
          alpha: 0.7,
          spanGaps: true,
          points: { show: false },
        } : {
          label: column.label,
          stroke: palette[LINES[place].colour],
          width: kind === "bars" ? 0 : 2,
          dash: LINES[place].dash,
          fill: kind === "bars" ? palette[LINES[place].colour] : undefined,
          paths: kind === "bars" ? uPlot.paths.bars({ size: [0.72, 42], radius: 0.12 }) : undefined,
          spanGaps: true,
          points: { show: data.days.length < 15 || column.values.filter((value) => value !== null).length < 15, size: 6, fill: palette[LINES[place].colour] },
        }),
        ...apart.map(({ column, place }) => ({
          label: column.label,
          stroke: palette[LINES[place].colour],
          width: kind === "bars" ? 1.25 : 0,
          fill: kind === "bars" ? palette["--surface"] : undefined,
          paths: kind === "bars" ? uPlot.paths.bars({ size: [0.72, 42], radius: 0.12 }) : undefined,
          points: { show: kind !== "bars", size: 7, width: 1.75, stroke: palette[LINES[place].colour], fill: palette["--surface"] },
        })),
      ],
      hooks: {
        drawClear: bands.map(({ low, high }) => band(low.map((value, index) => (isOver(index) ? value : null)), high, data.days, palette["--series-1"])),
        draw: [eventMarks(events, palette), ...(target === null ? [] : [targetLine(target, palette)])],
        setCursor: [(shown) => tell(shown.cursor.idx)],
      },
    },
    [
      data.days,
      ...drawn.map((column) => (column.ghost ? column.values : column.values.map((value, index) => (isOver(index) ? value : null)))),
      ...apart.map(({ column }) => column.values.map((value, index) => (isOver(index) ? null : value))),
    ],
    plot.querySelector(".canvas"),
  );
  tell(null);
  return chart;
}

const cards = [...document.querySelectorAll("[data-chart]")]
  .filter((card) => card.querySelector("tbody"))
  .map((card) => ({ card, data: read(card), plots: [...card.querySelectorAll(".plot")], charts: [] }));

function render(onPaper) {
  for (const entry of cards) {
    entry.charts.forEach((chart) => chart.destroy());
    entry.charts = entry.plots.map((plot) => {
      const width = onPaper ? ON_PAPER : Math.floor(plot.querySelector(".canvas").clientWidth);
      return draw(plot, entry.data, entry.card.dataset.chart, width, onPaper ? HEIGHT.paper : HEIGHT.screen);
    });
  }
}

// A choice submits the form immediately. The button is only for users without JavaScript.
for (const select of document.querySelectorAll("select[data-submits]")) {
  select.form.querySelector("button").hidden = true;
  select.addEventListener("change", () => {
    for (const other of select.form.elements) other.disabled = other.name !== "" && other.value === "";
    select.form.requestSubmit();
  });
}

let isPrinting = false;
render(false);
document.body.dataset.charts = "drawn";

let width = innerWidth;
let waiting = 0;
addEventListener("resize", () => {
  if (innerWidth === width) return; // only the height changed, as when a phone hides its address bar
  width = innerWidth;
  cancelAnimationFrame(waiting);
  waiting = requestAnimationFrame(() => render(false));
});

const root = document.documentElement;
new MutationObserver(() => isPrinting || render(false)).observe(root, { attributeFilter: ["data-theme"] });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => isPrinting || render(false));

// Print with light colours, and with the width of a sheet of paper.
let chosen;
addEventListener("beforeprint", () => {
  isPrinting = true;
  chosen = root.dataset.theme;
  root.dataset.theme = "light";
  render(true);
});
addEventListener("afterprint", () => {
  if (chosen) root.dataset.theme = chosen;
  else delete root.dataset.theme;
  isPrinting = false;
  render(false);
});
