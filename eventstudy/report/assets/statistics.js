"use strict";
// The study's own statistics over firm-events that a reader picks: the definitions of core/abnormal.py,
// core/statistics/dates.py and core/statistics/overlap.py, from the arrays of report/explore.py.
const Statistics = (() => {
  const TYPES = {u1: Uint8Array, u2: Uint16Array, i2: Int16Array, i4: Int32Array, f4: Float32Array, f8: Float64Array};
  const LISTED = 14, FEWEST_BLOCKS = 6, FEWEST_EFFECTIVE = 2, FEWEST_SHARED = 30, NO_SESSION = -(2 ** 31), NONE = -32768;

  // Return the study with its arrays: N firm-events, L1 estimation days, L2 event days, p coefficients.
  async function read(study) {
    const packed = Uint8Array.from(atob(study.bytes), letter => letter.charCodeAt(0));
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
    const bytes = await new Response(stream).arrayBuffer(), found = {...study, bytes: "", signs: new Map()};
    for (const [name, [type, at, shape]] of Object.entries(study.arrays))
      found[name] = new TYPES[type](bytes, at, shape.reduce((size, length) => size * length, 1));
    [found.n, found.days] = study.arrays.ar[2];
    [found.past, found.p] = study.arrays.design[2].slice(1);
    // Residuals of twenty bits: sixteen, and four more that two share a byte for.
    const coarse = found.residual;
    found.residual = Float64Array.from(coarse, (step, i) => step === NONE ? NaN
      : found.largest[Math.floor(i / found.past)] * (step + ((found.fine[i >> 1] >> (4 * (i & 1))) & 15) / 16));
    return found;
  }

  // Sum of the abnormal returns of the days first to last (places); NaN if any is missing.
  function car(study, row, first, last) {
    const at = row * study.days;
    if (study.covered[at + last]) return NaN;
    let total = 0;
    for (let day = first; day <= last; day++) if (!study.covered[at + day]) total += study.ar[at + day];
    return total;
  }

  // Return one portfolio for each date, in order: its rows with their weights.
  function portfolios(study, rows, byDate = true) {
    const day0 = row => study.event_session[row * study.days + study.tau.indexOf(0)];
    const shocks = new Map();
    for (const row of rows) {
      if (!shocks.has(study.shock[row])) shocks.set(study.shock[row], {led: false, earliest: new Map(), rows: []});
      const shock = shocks.get(study.shock[row]), market = study.market[row];
      shock.led ||= study.lead[row] === 1;
      shock.earliest.set(market, Math.min(day0(row), shock.earliest.get(market) ?? Infinity));
      shock.rows.push(row);
    }
    let groups = [...shocks].sort(([a], [b]) => a - b).map(([, shock]) => {
      const kept = shock.rows.filter(row => shock.led ? study.lead[row] : day0(row) === shock.earliest.get(study.market[row]));
      return {rows: kept, day0: Math.min(...kept.map(day0))};
    });
    const dates = [...new Set(groups.map(group => group.day0))];
    if (byDate && dates.length < groups.length) groups = dates.map(date => {
      const seen = new Set(), all = groups.filter(group => group.day0 === date).flatMap(group => group.rows);
      const first = row => {
        const key = `${study.market[row]} ${study.ticker[row]} ${day0(row)}`;
        return !seen.has(key) && seen.add(key);
      };
      return {rows: all.sort((a, b) => a - b).filter(first), day0: date};
    });
    groups.sort((a, b) => a.day0 - b.day0);
    for (const group of groups) group.weight = weights(study, group.rows);
    return groups;
  }

  function weights(study, rows) {
    let raw = rows.map(() => 1);
    if (study.weighting === "value") raw = rows.map(row => study.value[row]);
    if (study.weighting === "market-balanced") {
      const alike = new Map();
      for (const row of rows) alike.set(study.region[row], (alike.get(study.region[row]) ?? 0) + 1);
      raw = rows.map(row => 1 / alike.get(study.region[row]));
    }
    const total = raw.reduce((sum, value) => sum + value, 0);
    return raw.map(value => value / total);
  }

  const weighted = (group, value) => group.rows.reduce((sum, row, i) => sum + group.weight[i] * value(row), 0);

  // Add the portfolio's own residuals by estimation day, NaN where there are none, and their variance.
  function addResiduals(study, group) {
    group.residual = new Float64Array(study.past);
    let square = 0, used = 0;
    for (let day = 0; day < study.past; day++) {
      let total = 0, share = 0;
      group.rows.forEach((row, i) => {
        const value = study.residual[row * study.past + day];
        if (Number.isNaN(value)) return;
        total += group.weight[i] * value;
        share += group.weight[i];
      });
      group.residual[day] = share > 0 ? total / share : NaN;
      if (share > 0) { used++; square += group.residual[day] ** 2; }
    }
    const estimated = Math.max(...group.rows.map(row => study.estimated[row]));
    group.s2 = used > estimated ? square / (used - estimated) : NaN;
  }

  // Prediction-error variance of the portfolio's CAR over the days first to last.
  function variance(study, group, first, last) {
    const {days, past, p} = study, lever = new Float64Array(past);
    const own = weighted(group, row => {
      let sum = 0;
      for (let day = first; day <= last; day++) sum += study.scale[row * days + day];
      return sum;
    });
    group.rows.forEach((row, i) => {
      const x = new Float64Array(p), pull = new Float64Array(p), at = study.design_of[row] * past;
      for (let day = first; day <= last; day++)
        for (let j = 0; j < p; j++) x[j] += study.window[(study.window_of[row] * days + day) * p + j];
      for (let j = 0; j < p; j++) {
        for (let l = 0; l < p; l++) pull[j] += study.xtx_inv[(row * p + j) * p + l] * x[l];
        pull[j] *= group.weight[i] * study.factor[study.design_of[row] * p + j];
      }
      for (let day = 0; day < past; day++) {
        if (Number.isNaN(study.residual[row * past + day])) continue;
        for (let j = 0; j < p; j++) lever[day] += pull[j] * study.design[(at + day) * p + j];
      }
    });
    return group.s2 * (own + lever.reduce((sum, value) => sum + value * value, 0));
  }

  // Earliest session of each day over a portfolio's rows.
  function sessions(group, table, length) {
    return Array.from({length}, (_, day) => {
      const there = group.rows.map(row => table[row * length + day]).filter(session => session !== NO_SESSION);
      return there.length ? Math.min(...there) : NO_SESSION;
    });
  }

  // Correlation about zero of two portfolios' residuals on the sessions that both have.
  function likeness(study, one, other) {
    for (const group of [one, other]) {
      group.past ??= new Map(sessions(group, study.estimation_session, study.past)
        .map((session, day) => [session, group.residual[day]])
        .filter(([session, value]) => session !== NO_SESSION && !Number.isNaN(value)));
    }
    let both = 0, cross = 0, first = 0, second = 0;
    for (const [session, value] of one.past) {
      const mate = other.past.get(session);
      if (mate === undefined) continue;
      both++; cross += value * mate; first += value ** 2; second += mate ** 2;
    }
    if (both < FEWEST_SHARED || !(first * second > 0)) return 1;
    return Math.min(1, Math.max(0, cross / Math.sqrt(first * second)));
  }

  // The pairs of dates whose windows share sessions, and how far their CARs are alike for it.
  function overlap(study, groups, first, last) {
    const k = groups.length, pairs = [], width = last - first + 1;
    for (const group of groups) group.around ??= sessions(group, study.event_session, study.days);
    for (let i = 0; i < k; i++) for (let j = i + 1; j < k; j++) {
      const days = groups[i].around.slice(first, last + 1), others = groups[j].around.slice(first, last + 1);
      const shared = days.reduce((sum, day) => sum + others.filter(other => other === day && day !== NO_SESSION).length, 0);
      if (!shared) continue;
      groups[i].alike ??= new Map();
      if (!groups[i].alike.has(j)) groups[i].alike.set(j, likeness(study, groups[i], groups[j]));
      pairs.push([i, j, shared / width * groups[i].alike.get(j)]);
    }
    return {k, pairs, total: k + 2 * pairs.reduce((sum, [, , weight]) => sum + weight, 0)};
  }

  const sum = values => values.reduce((total, value) => total + value, 0);
  const dot = (one, other) => one.reduce((total, value, i) => total + value * other[i], 0);

  function times(between, values) {
    const product = [...values];
    for (const [i, j, weight] of between.pairs) { product[i] += weight * values[j]; product[j] += weight * values[i]; }
    return product;
  }

  function freedom({k, pairs, total}) {
    if (!pairs.length) return k - 1;
    const expected = k - total / k, rows = times({pairs}, Array(k).fill(1));
    if (!(expected > 1e-9 * k)) return NaN;
    const squares = pairs.reduce((all, [, , weight]) => all + weight * weight, 0);
    return expected ** 2 / (k + 2 * squares - 2 * dot(rows, rows) / k + (total / k) ** 2);
  }

  // Standard error of the mean of one value a date.
  function standardError(between, values) {
    const {k, total} = between, mean = sum(values) / k, expected = k - total / k;
    const square = values.reduce((all, value) => all + (value - mean) ** 2, 0);
    return expected > 1e-9 * k ? Math.sqrt(square / expected) * Math.sqrt(total) / k : NaN;
  }

  function clustering(between, share) {
    const ratio = pairs => {
      const product = times({pairs}, share), square = dot(share, product);
      const expected = share.reduce((all, a, i) => all + a * a * (1 - 2 * product[i] + square), 0);
      return expected > 1e-9 * dot(share, share) ? square / expected : NaN;
    };
    const plain = between.k / (between.k - 1);
    return between.pairs.length ? plain * ratio(between.pairs) / ratio([]) : plain;
  }

  function blocks({k, pairs}, values) {
    const of = Array.from({length: k}, (_, i) => i);
    const root = i => of[i] === i ? i : root(of[i]);
    for (const [i, j] of pairs) of[root(j)] = root(i);
    const sums = new Map();
    values.forEach((value, i) => sums.set(root(i), (sums.get(root(i)) ?? 0) + value));
    return [...sums.values()];
  }

  // The signs by which k values are flipped: all of them, or those that the study's seed draws (numpy's PCG64).
  function signs(study, k) {
    if (study.signs.has(k)) return study.signs.get(k);
    const every = k <= LISTED, count = every ? 2 ** k : study.draws + 1, made = new Int8Array(count * k).fill(1);
    if (every) for (let b = 0; b < count; b++) for (let j = 0; j < k; j++) made[b * k + j] = (b >> j) & 1 ? -1 : 1;
    else {
      const mask = (1n << 128n) - 1n, step = 47026247687942121848144207491837523525n;
      let state = BigInt(study.random.state), inc = BigInt(study.random.inc);
      for (let i = k; i < made.length; i += 2) {
        state = (state * step + inc) & mask;
        const word = (state >> 64n) ^ (state & 0xffffffffffffffffn), turn = state >> 122n;
        const bit = at => (word >> ((at + turn) % 64n)) & 1n;
        made[i] = bit(31n) ? -1 : 1;
        if (i + 1 < made.length) made[i + 1] = bit(63n) ? -1 : 1;
      }
    }
    study.signs.set(k, made);
    return made;
  }

  function flipped(study, values) {
    const k = values.length, every = signs(study, k), count = every.length / k, observed = sum(values);
    const slack = Math.abs(observed) * 1e-12;
    let beyond = 0;
    for (let b = 0; b < count; b++) {
      let total = 0;
      for (let j = 0; j < k; j++) total += every[b * k + j] * values[j];
      if (study.alternative === "less") beyond += total <= observed + slack;
      else if (study.alternative === "greater") beyond += total >= observed - slack;
      else beyond += Math.abs(total) >= Math.abs(observed) * (1 - 1e-12);
    }
    return beyond / count;
  }

  // Regularised incomplete beta function by its continued fraction (Lentz).
  function beta(a, b, x) {
    if (x <= 0 || x >= 1) return x <= 0 ? 0 : 1;
    if (x > (a + 1) / (a + b + 2)) return 1 - beta(b, a, 1 - x);
    let c = 1, d = 1 - (a + b) * x / (a + 1);
    d = 1 / d;
    let fraction = d;
    for (let m = 1; m < 500; m++) {
      let factor = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
      d = 1 / (1 + factor * d); c = 1 + factor / c; fraction *= d * c;
      factor = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
      d = 1 / (1 + factor * d); c = 1 + factor / c; fraction *= d * c;
      if (Math.abs(d * c - 1) < 1e-15) break;
    }
    return Math.exp(a * Math.log(x) + b * Math.log(1 - x) + gamma(a + b) - gamma(a) - gamma(b)) * fraction / a;
  }

  // Logarithm of the gamma function (Lanczos, g = 7).
  function gamma(x) {
    const terms = [676.5203681218851, -1259.1392167224028, 771.32342877765313, -176.61502916214059, 12.507343278686905,
      -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7];
    if (x < 0.5) return Math.log(Math.PI / Math.sin(Math.PI * x)) - gamma(1 - x);
    const base = x + 6.5, series = terms.reduce((all, value, i) => all + value / (x + i), 0.99999999999980993);
    return 0.5 * Math.log(2 * Math.PI) + (x - 0.5) * Math.log(base) - base + Math.log(series);
  }

  const below = (t, df) => {
    const tail = beta(df / 2, 0.5, df / (df + t * t)) / 2;
    return t > 0 ? 1 - tail : tail;
  };

  function quantile(df, share = 0.975) {
    let low = 0, high = 1;
    while (below(high, df) < share) high *= 2;
    for (let i = 0; i < 100; i++) {
      const middle = (low + high) / 2;
      if (below(middle, df) < share) low = middle; else high = middle;
    }
    return high;
  }

  function tail(study, t, df) {
    if (study.alternative === "less") return below(t, df);
    return study.alternative === "greater" ? below(-t, df) : 2 * below(-Math.abs(t), df);
  }

  // The mean over dates of the firm-events `rows` in a window of event days, as `ibragimov_mueller` and `sign_flip`.
  function over(study, rows, window) {
    const [first, last] = window.map(day => study.tau.indexOf(day));
    const complete = rows.filter(row => !Number.isNaN(car(study, row, first, last)));
    const found = {n: complete.length, k: 0, kEff: NaN, mean: NaN, lower: NaN, upper: NaN, t: NaN, df: NaN, p: NaN, flip: NaN, blocks: NaN};
    if (!complete.length) return found;
    const groups = portfolios(study, complete), k = groups.length;
    const cars = groups.map(group => weighted(group, row => car(study, row, first, last)));
    groups.forEach(group => addResiduals(study, group));
    const between = overlap(study, groups, first, last);
    Object.assign(found, {k, kEff: k * k / between.total, mean: sum(cars) / k});
    if (k < 2 || (between.pairs.length && found.kEff < FEWEST_EFFECTIVE)) return found;
    const se = standardError(between, cars), df = freedom(between), s = groups.map(
      (group, i) => cars[i] / Math.sqrt(variance(study, group, first, last)));
    if (se > 0 && df > 0) {
      const half = quantile(df) * se, t = found.mean / se;
      Object.assign(found, {t, df, p: tail(study, t, df), lower: found.mean - half, upper: found.mean + half});
    }
    const sums = blocks(between, s);
    found.blocks = sums.length;
    if (!between.pairs.length || sums.length >= FEWEST_BLOCKS) found.flip = flipped(study, sums);
    return found;
  }

  // One shock's peer portfolio over a window, as in tables/shocks.csv.
  function shock(study, rows, window) {
    const [first, last] = window.map(day => study.tau.indexOf(day));
    const complete = rows.filter(row => !Number.isNaN(car(study, row, first, last)));
    if (!complete.length) return {n: 0, rows: [], mean: NaN, se: NaN};
    const [group] = portfolios(study, complete, false);
    addResiduals(study, group);
    const mean = weighted(group, row => car(study, row, first, last));
    return {n: group.rows.length, rows: group.rows, mean, se: Math.sqrt(variance(study, group, first, last)), day0: group.day0};
  }

  // Mean abnormal return of each event day, its sum since the close before day `start` and the sum's band with dates
  // as clusters: tables/aar.csv, whose sums start with the first event day. Before `start` it is the sum yet to come.
  function path(study, rows, start) {
    const {days} = study, from = study.tau.indexOf(start), day0 = Math.max(study.tau.indexOf(0), 0);
    const groups = portfolios(study, rows), k = groups.length, dates = groups.map(group => group.day0), first = new Map();
    for (const one of portfolios(study, rows, false)) for (const row of one.rows) first.set(study.shock[row], one.day0);
    const date = rows.map(row => dates.indexOf(first.get(study.shock[row])));
    for (const group of groups) {
      // The correlations of residuals are those of the portfolios that have day 0.
      const all = group.rows, kept = all.filter(row => !Number.isNaN(car(study, row, day0, day0)));
      if (kept.length) Object.assign(group, {rows: kept, weight: weights(study, kept)});
      addResiduals(study, group);
      group.rows = all;
    }
    const mean = study.by_value ? sum(rows.map(row => study.value[row])) / rows.length : 1;
    const weight = row => study.by_value ? study.value[row] / mean : 1;
    const found = study.tau.map((tau, day) => {
      const there = rows.map(row => !Number.isNaN(study.ar[row * days + day]));
      const all = sum(rows.map((row, i) => there[i] ? weight(row) : 0));
      const aar = sum(rows.map((row, i) => there[i] ? weight(row) * study.ar[row * days + day] : 0)) / all;
      return {tau, there, n: there.filter(Boolean).length, k, all, aar};
    });
    const running = (places, span, sign) => {
      const influence = Array(k).fill(0), held = Array(k).fill(0);
      let total = 0, caar = 0;
      for (const day of places) {
        const {there, all, aar} = found[day], [low, high] = span(day);
        caar += aar;
        total += all;
        rows.forEach((row, i) => {
          if (!there[i]) return;
          influence[date[i]] += weight(row) * (study.ar[row * days + day] - aar) / all;
          held[date[i]] += weight(row);
        });
        const between = overlap(study, groups, low, high);
        const half = k < 2 || k * k / between.total < FEWEST_EFFECTIVE ? NaN : quantile(freedom(between)) *
          Math.sqrt(clustering(between, held.map(count => count / total)) * dot(influence, influence));
        const at = sign > 0 ? day : day - 1;
        if (at >= 0) Object.assign(found[at], {caar: sign * caar, lower: sign * caar - half, upper: sign * caar + half});
      }
    };
    const places = study.tau.map((_, day) => day);
    running(places.slice(from), day => [from, day], 1);
    running(places.slice(0, from).reverse(), day => [day, from - 1], -1);
    if (from > 0) Object.assign(found[from - 1], {caar: 0, lower: 0, upper: 0});
    return found.map(({tau, n, k, aar, caar, lower, upper}) => ({tau, n, k, aar, caar, lower, upper}));
  }

  return {read, over, shock, path, car};
})();
if (typeof module !== "undefined") module.exports = Statistics;
