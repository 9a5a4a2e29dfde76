"use strict";
// The part of the page that computes: pick firm-events, days and shocks, see the mean, its test and its curves.
(async () => {
  const host = document.getElementById("explore"), source = document.getElementById("study");
  if (!host || !source || typeof DecompressionStream === "undefined") return;
  const study = await Statistics.read(JSON.parse(source.textContent)), {words, names, tau} = study;
  const NS = "http://www.w3.org/2000/svg", HEIGHT = 300, Z95 = 1.96, dark = matchMedia("(prefers-color-scheme: dark)");

  // An element with attributes and children; texts become text, never markup.
  function el(name, given = {}, ...children) {
    const svg = ["svg", "rect", "line", "path", "text"].includes(name);
    const made = svg ? document.createElementNS(NS, name) : document.createElement(name);
    for (const [key, value] of Object.entries(given)) {
      if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
      else if (typeof value === "boolean") made.toggleAttribute(key, value);
      else made.setAttribute(key, value);
    }
    made.append(...children);
    return made;
  }

  // Numbers as the pages print them, see report/wording.py; what lies just between two goes to the even one.
  const fixed = (value, digits) => {
    const size = Math.abs(value), text = size.toFixed(digits), rest = size.toFixed(60).split(".")[1].slice(digits);
    const even = /^50*$/.test(rest) && Number(text.at(-1)) % 2 ? (Number(text) - 10 ** -digits).toFixed(digits) : text;
    return value < 0 ? `-${even}` : even;
  };
  const signed = (value, digits) => {
    const text = fixed(value, digits);
    return (Number(text) === 0 ? (0).toFixed(digits) : (value > 0 ? "+" : "") + text).replace("-", "−");
  };
  const amount = (value, digits = 2) => Number.isNaN(value) ? "–" : study.amount.replace("{value}", signed(100 * value, digits));
  const span = (low, high) => Number.isNaN(low) ? "–" : fill(words.span, {low: amount(low), high: amount(high)});
  const chance = p => Number.isNaN(p) ? "–" : p < 0.0005 ? "<0.001" : fixed(p, 3);
  const plain = (value, digits) => Number.isNaN(value) ? "–" : fixed(value, digits).replace("-", "−");
  const day = value => (value > 0 ? "+" : "") + String(value).replace("-", "−");
  const date = code => new Date(code * 86400000).toISOString().slice(0, 10);
  const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
  const days = ([first, last]) => `[${day(first)}, ${day(last)}]`;

  const all = Array.from({length: study.n}, (_, row) => row), headline = all.filter(row => study.headline[row]);
  const codes = name => [...new Set(study[name])].sort((a, b) => a - b);
  const registered = study.windows[0], off = {label: new Set(), market: new Set(), ticker: new Set(), shock: new Set()};
  // At first the firm-events that the headline is about: other peers can be switched on.
  for (const ticker of codes("ticker")) if (!headline.some(row => study.ticker[row] === ticker)) off.ticker.add(ticker);
  const first = {window: [...registered], ticker: new Set(off.ticker)};
  let window = [...registered], chosen = -1, drawn = [], chart = null, mean = null;

  const kept = (except = "") => all.filter(row => Object.keys(off).every(name => name === except || !off[name].has(study[name][row])));

  // ---- controls
  const boxes = [];
  function box(name, code, text, title = "") {
    const input = el("input", {type: "checkbox", onchange: () => { off[name][input.checked ? "delete" : "add"](code); update(); }});
    boxes.push([input, name, code]);
    return title ? el("label", {title}, input, text) : el("label", {}, input, text);
  }
  function choices(name, title, text) {
    const found = codes(name), every = el("button", {type: "button", class: "plain", onclick: () => {
      const some = found.some(code => off[name].has(code));
      for (const code of found) off[name][some ? "delete" : "add"](code);
      update();
    }}, words.all_or_none);
    return el("fieldset", {}, el("legend", {}, title), ...found.map(code => box(name, code, text(names[name][code], code))), every);
  }
  const number = (text, at) => {
    const input = el("input", {type: "number", min: tau[0], max: tau.at(-1), step: 1, oninput: () => {
      const value = Number(input.value);
      if (input.value === "" || !tau.includes(value)) return;
      window[at] = value;
      // The other end follows where the two would cross.
      if (window[0] > window[1]) window[1 - at] = value;
      update();
    }});
    return [el("label", {}, text, " ", input), input];
  };
  const [firstLabel, firstDay] = number(words.first_day, 0), [lastLabel, lastDay] = number(words.last_day, 1);
  const usual = study.windows.map(pair => el("button", {type: "button", class: "plain", onclick: () => { window = [...pair]; update(); }}, days(pair)));
  const reset = el("button", {type: "button", onclick: () => {
    window = [...first.window];
    for (const name of Object.keys(off)) off[name] = new Set(name === "ticker" ? first.ticker : []);
    update();
  }}, words.reset);
  const banner = el("p", {class: "explored", role: "status"});
  const results = el("dl", {class: "numbers", id: "explored-numbers"}), drawnNote = el("p", {class: "note"});
  const canvas = el("div", {class: "chart", tabindex: 0, role: "group", "aria-label": words.chart_keys, onkeydown: moved});
  const readout = el("div", {class: "wide", tabindex: 0, role: "region", "aria-label": words.values});
  const forest = el("div", {class: "wide forest", tabindex: 0, role: "region", "aria-label": words.forest});
  const heat = el("div", {class: "wide heat", tabindex: 0, role: "group", "aria-label": words.heat_keys, onkeydown: walked});
  const heatTitle = el("h3", {id: "explored-shock", tabindex: -1}), heatText = el("p", {class: "note", role: "status"});
  const peer = ([ticker, name]) => name ? `${name} ${ticker}` : ticker;

  host.querySelector(".controls").append(
    el("fieldset", {}, el("legend", {}, words.window), firstLabel, lastLabel, ...usual),
    choices("label", words.labels, ([, text]) => text), choices("market", words.exchanges, ([, text]) => text),
    el("details", {}, el("summary", {}, words.peers), choices("ticker", words.peers, peer)), reset);
  host.querySelector(".shown").append(banner, results, drawnNote, el("h3", {}, words.curve), canvas, el("p", {class: "note"}, words.curve_note),
    readout, el("h3", {}, words.forest), el("p", {class: "note"}, words.forest_note), forest, heatTitle, heat, heatText);

  // ---- numbers
  function numbers(found) {
    const drawnSigns = found.blocks > 14 ? fill(words.signs_drawn, {n: study.draws}) : words.signs_all;
    const shown = [["mean", words.mean, amount(found.mean)], ["interval", words.interval, span(found.lower, found.upper)],
      ["p", words.p, chance(found.p)], ["flip", words.flip, chance(found.flip)], ["n", words.n, String(found.n)],
      ["k", words.k, String(found.k)], ["k_eff", words.k_eff, plain(found.kEff, 1)]];
    results.replaceChildren(...shown.map(([name, text, value]) => el("div", {}, el("dt", {}, text), el("dd", {"data-name": name}, value))));
    drawnNote.textContent = Number.isNaN(found.p) ? words.too_few : Number.isNaN(found.flip) ? words.few_blocks : drawnSigns;
  }
  const same = (one, other) => one.size === other.size && [...one].every(code => other.has(code));
  const untouched = () => Object.keys(off).every(name => same(off[name], name === "ticker" ? first.ticker : new Set()));

  // Many changes at a time are one.
  let waiting = false;
  function update() {
    if (!waiting) requestAnimationFrame(() => { waiting = false; refresh(); });
    waiting = true;
  }
  function refresh() {
    const rows = kept(), asked = study.windows.some(pair => pair[0] === window[0] && pair[1] === window[1]);
    firstDay.value = window[0]; lastDay.value = window[1];
    for (const [input, name, code] of boxes) if (name !== "shock") input.checked = !off[name].has(code);
    const explored = !asked || !untouched();
    banner.textContent = !explored ? words.as_registered : asked ? words.other_events : words.banner;
    banner.classList.toggle("strong", explored);
    mean = Statistics.over(study, rows, window);
    numbers(mean);
    drawForest();
    drawHeat();
    drawn = lines(rows);
    draw();
  }

  // ---- curves
  function lines(rows) {
    const start = tau.includes(0) ? 0 : tau[0], found = [];
    if (rows.length) found.push({text: words.chosen, colour: ["var(--ink)", ""], path: Statistics.path(study, rows, start)});
    const labels = codes("label").map(code => [code, rows.filter(row => study.label[row] === code)]).filter(([, of]) => of.length);
    if (labels.length > 1) for (const [code, of] of labels)
      found.push({text: names.label[code][1], colour: names.label[code].slice(2), path: Statistics.path(study, of, start)});
    return found;
  }
  const colour = ([light, night]) => light.startsWith("var") ? variable("--ink") : dark.matches ? night : light;
  const variable = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  function draw() {
    const at = chart?.cursor.idx ?? null;
    chart?.destroy();
    chart = null;
    readout.replaceChildren();
    if (!drawn.length) return;
    const axis = {stroke: () => variable("--ink"), grid: {stroke: () => variable("--line"), width: 1}, ticks: {stroke: () => variable("--line")}, font: "12px system-ui"};
    const percent = values => values.map(value => value === null ? "" : study.amount.replace("{value}", signed(100 * value, 1)));
    const clean = values => values.map(value => Number.isFinite(value) ? value : null);
    const series = drawn.map((line, i) => ({label: line.text, stroke: colour(line.colour), width: i ? 1.6 : 2.4, points: {show: false}, dash: i ? [[], [6, 3], [2, 3], [8, 3, 2, 3]][i % 4] : undefined}));
    const limits = ["upper", "lower"].map(() => ({label: "", stroke: "transparent", width: 0, points: {show: false}}));
    chart = new uPlot({
      width: Math.max(canvas.clientWidth, 200), height: HEIGHT, legend: {show: false},
      scales: {x: {time: false}}, cursor: {drag: {x: true, y: false, setScale: false}, points: {size: 6}},
      axes: [{...axis, values: (_, ticks) => ticks.map(day)}, {...axis, size: 62, values: (_, ticks) => percent(ticks)}],
      series: [{label: words.day}, ...series, ...limits],
      bands: [{series: [drawn.length + 1, drawn.length + 2], fill: variable("--ink") + "1f"}],
      hooks: {
        drawClear: [shade], setCursor: [self => told(self.cursor.idx)],
        setSelect: [self => {
          if (self.select.width < 3) return;
          const ends = [self.select.left, self.select.left + self.select.width].map(x => Math.round(self.posToVal(x, "x")));
          self.setSelect({left: 0, width: 0, top: 0, height: 0}, false);
          window = ends.map(value => Math.min(tau.at(-1), Math.max(tau[0], value)));
          update();
        }],
      },
    }, [tau, ...drawn.map(line => clean(line.path.map(point => point.caar))), clean(drawn[0].path.map(point => point.upper)), clean(drawn[0].path.map(point => point.lower))], canvas);
    chart.over.setAttribute("aria-hidden", "true");
    told(at ?? tau.indexOf(window[1]));
  }
  // The window's days on their ground.
  function shade(self) {
    const [left, right] = [window[0] - 0.5, window[1] + 0.5].map(value => self.valToPos(value, "x", true));
    const {left: edge, top, width, height} = self.bbox, from = Math.max(left, edge);
    self.ctx.save();
    self.ctx.fillStyle = variable("--accent") + "24";
    self.ctx.fillRect(from, top, Math.min(right, edge + width) - from, height);
    self.ctx.restore();
  }
  let last = 0;
  // Values of a day, a row a line.
  function told(at) {
    if (at === null || at === undefined || !drawn.length) return;
    last = at;
    const heads = [fill(words.day_is, {day: day(tau[at])}), words.caar, words.interval, words.aar, words.n_day, words.k];
    const rows = drawn.map(({text, colour: own, path}) => {
      const {n, k, aar, caar, lower, upper} = path[at], swatch = el("span", {class: "swatch", "aria-hidden": "true"});
      swatch.style.background = colour(own);
      return el("tr", {}, el("th", {scope: "row"}, swatch, text), ...[amount(caar), span(lower, upper), amount(aar), String(n), String(k)].map(value => el("td", {class: "right"}, value)));
    });
    readout.replaceChildren(el("table", {id: "explored-day"}, el("caption", {class: "hidden"}, words.values),
      el("thead", {}, el("tr", {}, ...heads.map((text, i) => el("th", {scope: "col", ...(i ? {class: "right"} : {})}, text)))), el("tbody", {}, ...rows)));
  }
  function moved(event) {
    const step = {ArrowLeft: -1, ArrowRight: 1}[event.key];
    if (!step || !chart) return;
    event.preventDefault();
    last = Math.min(tau.length - 1, Math.max(0, last + step));
    chart.setCursor({left: chart.valToPos(tau[last], "x"), top: HEIGHT / 2});
  }

  // ---- shocks
  function drawForest() {
    const rows = kept("shock"), pressed = document.activeElement?.dataset?.key;
    const found = codes("shock").map(code => ({code, ...Statistics.shock(study, rows.filter(row => study.shock[row] === code), window)})).filter(({n}) => n);
    found.sort((a, b) => a.day0 - b.day0);
    if (!found.some(({code}) => code === chosen) && found.length) chosen = found.at(-1).code;
    const ends = [mean.lower, mean.upper, ...found.flatMap(shock => [shock.mean - Z95 * shock.se, shock.mean + Z95 * shock.se])].filter(Number.isFinite);
    const low = Math.min(0, ...ends), high = Math.max(0, ...ends), x = value => 4 + 192 * (value - low) / (high - low || 1);
    boxes.splice(0, boxes.length, ...boxes.filter(([, name]) => name !== "shock"));
    const picture = (...marks) => el("svg", {viewBox: "0 0 200 16", width: 200, height: 16, "aria-hidden": "true"},
      el("line", {x1: x(0), x2: x(0), y1: 0, y2: 16, class: "zero"}), ...marks);
    const lines = found.map(({code, n, mean: own, se, day0}) => {
      const [shock, title] = names.shock[code], from = own - Z95 * se, to = own + Z95 * se, out = off.shock.has(code);
      const marks = [el("line", {x1: x(from), x2: x(to), y1: 8, y2: 8, class: "whisker"}), el("rect", {x: x(own) - 3, y: 5, width: 6, height: 6, class: "dot"})];
      const button = el("button", {type: "button", class: "plain", "data-key": `shock ${code}`, "aria-pressed": String(code === chosen), onclick: () => {
        chosen = code; drawForest(); drawHeat(); heatTitle.scrollIntoView({block: "nearest"});
      }}, shock);
      const use = box("shock", code, "");
      use.firstChild.checked = !out;
      use.firstChild.dataset.key = `use ${code}`;
      use.firstChild.setAttribute("aria-label", fill(words.use, {shock}));
      return el("tr", out ? {class: "out"} : {}, el("td", {}, use), el("th", {scope: "row"}, button), el("td", {class: "short"}, date(day0)), el("td", {class: "title", title}, title),
        el("td", {}, picture(...marks)), el("td", {class: "right short", "data-shock": shock}, amount(own)), el("td", {class: "right short"}, span(from, to)), el("td", {class: "right"}, String(n)));
    });
    const diamond = Number.isNaN(mean.lower) ? [] : [el("path", {d: `M${x(mean.lower)} 8L${x(mean.mean)} 3L${x(mean.upper)} 8L${x(mean.mean)} 13Z`, class: "dot"})];
    const pooled = el("tr", {}, el("td", {}), el("th", {scope: "row"}, words.mean), el("td", {}), el("td", {}), el("td", {}, picture(...diamond)),
      el("td", {class: "right short"}, amount(mean.mean)), el("td", {class: "right short"}, span(mean.lower, mean.upper)), el("td", {class: "right"}, String(mean.n)));
    const heads = [words.used, words.shock, words.day0, words.title, "", words.car, words.interval, words.peers_n];
    const empty = el("td", {}, el("span", {class: "hidden"}, words.picture));
    forest.replaceChildren(el("table", {id: "explored-shocks"}, el("caption", {class: "hidden"}, words.forest),
      el("thead", {}, el("tr", {}, ...heads.map((text, i) => text ? el("th", {scope: "col", ...(i > 4 ? {class: "right"} : {})}, text) : empty))), el("tbody", {}, ...lines), el("tfoot", {}, pooled)));
    if (pressed) forest.querySelector(`[data-key="${pressed}"]`)?.focus();
  }

  // ---- heat map: peers by days of one shock
  let cells = [], cell = [0, 0];
  function drawHeat() {
    // The peers of its portfolio: those that the shock set off.
    const {rows} = Statistics.shock(study, kept("shock").filter(row => study.shock[row] === chosen), window);
    rows.sort((a, b) => study.region[a] - study.region[b] || study.ticker[a] - study.ticker[b]);
    if (!rows.length) { heatTitle.textContent = ""; heat.replaceChildren(); heatText.textContent = ""; return; }
    heatTitle.textContent = names.shock[chosen].filter(Boolean).join(" – ");
    const sizes = rows.flatMap(row => tau.map((_, at) => Math.abs(study.ar[row * study.days + at]))).filter(Number.isFinite).sort((a, b) => a - b);
    // Nine in ten cells lie within the scale.
    const most = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5].find(step => step >= sizes[Math.floor(0.9 * sizes.length)]) ?? 10;
    const WIDE = 22, HIGH = 16, LEFT = 150, TOP = 18, width = LEFT + WIDE * tau.length, height = TOP + HIGH * rows.length + 2;
    const svg = el("svg", {viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": fill(words.heat, {shock: names.shock[chosen][0]})});
    tau.forEach((value, at) => { if (value % 5 === 0) svg.append(el("text", {x: LEFT + WIDE * (at + 0.5), y: 12, "text-anchor": "middle"}, day(value))); });
    const twice = row => rows.some(other => other !== row && study.ticker[other] === study.ticker[row]);
    cells = rows.map((row, i) => {
      const [ticker, name] = names.ticker[study.ticker[row]], own = twice(row) ? names.event[study.event[row]] : "";
      const text = [own ? ticker : (name || ticker).slice(0, 22), own].filter(Boolean).join(" · ");
      svg.append(el("text", {x: LEFT - 5, y: TOP + HIGH * i + 12, "text-anchor": "end"}, text));
      return tau.map((_, at) => {
        const value = study.ar[row * study.days + at], made = el("rect", {x: LEFT + WIDE * at, y: TOP + HIGH * i, width: WIDE - 1, height: HIGH - 1});
        const share = Math.round(100 * Math.min(1, Math.abs(value) / most));
        made.style.fill = Number.isNaN(value) ? "url(#hatched)" : `color-mix(in srgb, var(--${value < 0 ? "fall" : "rise"}) ${share}%, var(--paper))`;
        svg.append(made);
        return {made, row, at, value, i};
      });
    });
    const zero = Math.max(tau.indexOf(0), 0);
    svg.append(el("rect", {x: LEFT + WIDE * zero - 0.5, y: TOP - 1, width: WIDE, height: HIGH * rows.length + 1, class: "frame"}));
    svg.addEventListener("pointermove", event => { const under = cells.flat().find(({made}) => made === event.target); if (under) tell(under); });
    heat.replaceChildren(svg);
    cell = [0, zero];
    heatText.textContent = fill(words.heat_note, {most: amount(most, 0)});
  }
  function tell({made, row, at, value, i}) {
    heat.querySelector(".at")?.classList.remove("at");
    made.classList.add("at");
    cell = [i, at];
    heatText.textContent = fill(words.heat_cell, {peer: peer(names.ticker[study.ticker[row]]), day: day(tau[at]), date: date(study.event_session[row * study.days + at]),
      value: Number.isNaN(value) ? words.missing : amount(value)});
  }
  function walked(event) {
    const [down, right] = {ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1]}[event.key] ?? [0, 0];
    if ((!down && !right) || !cells.length) return;
    event.preventDefault();
    tell(cells[Math.min(cells.length - 1, Math.max(0, cell[0] + down))][Math.min(tau.length - 1, Math.max(0, cell[1] + right))]);
  }

  host.hidden = false;
  for (const link of document.querySelectorAll('nav a[href="#explore"]')) link.parentElement.hidden = false;
  update();
  dark.addEventListener("change", draw);
  new ResizeObserver(() => chart && Math.abs(chart.width - canvas.clientWidth) > 4 && draw()).observe(canvas);
})();
