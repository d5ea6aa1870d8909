/* The sampler playground's numerics, free of the page: mixtures, programs of tableaus, the exact flow, noise.

   Samples are Float64Array of 2 n numbers, x and y of each particle in turn. A level is [alpha, sigma, alpha', sigma'].
   Everything about a method is data (book/tools/playground_programs.py); `step` is the only place that combines it. */
"use strict";

var numdiffPlayground = (function () {
  const shared = {};
  const methods = {};
  const waiting = {};

  // --- data ---------------------------------------------------------------------------------------------------------

  function doubles(text) {
    const raw = atob(text);
    const bytes = new Uint8Array(raw.length);
    for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
    const view = new DataView(bytes.buffer);
    const out = new Float64Array(raw.length / 8);
    for (let i = 0; i < out.length; i++) out[i] = view.getFloat64(8 * i, true);
    return out;
  }

  function share(document) {
    Object.assign(shared, document);
    shared.member = Object.fromEntries(shared.members.map((member) => [member.key, member]));
  }

  function register(key, document) {
    const numbers = doubles(document.numbers);
    const flat = doubles(document.levels);
    const levels = [];
    for (let i = 0; i < flat.length; i += document.width) {
      levels.push([flat[i], flat[i + 1], ...(document.width === 4 ? [flat[i + 2], flat[i + 3]] : [-1, 1])]);
    }
    methods[key] = { document, numbers, levels, programs: {} };
    (waiting[key] || []).forEach((resolve) => resolve());
    delete waiting[key];
  }

  /** Load a method's data file once, as a classic script, which works from file:// too. */
  function load(key, folder) {
    if (methods[key]) return Promise.resolve();
    return new Promise((resolve, reject) => {
      if (waiting[key]) return waiting[key].push(resolve);
      waiting[key] = [resolve];
      const script = document.createElement("script");
      script.src = folder + key + ".js";
      script.onerror = () => {
        delete waiting[key];
        reject(new Error("the data of " + key + " could not be loaded"));
      };
      document.head.appendChild(script);
    });
  }

  function nodesOf(name) {
    if (!(name in shared.nodes)) return [];
    const flat = doubles(shared.nodes[name]);
    return Array.from({ length: flat.length / 4 }, (_, i) => Array.from(flat.subarray(4 * i, 4 * i + 4)));
  }

  function expand(runs) {
    const out = [];
    for (let i = 0; i < runs.length; i += 2) for (let k = 0; k < runs[i + 1]; k++) out.push(runs[i]);
    return out;
  }

  /** Return the program "schedule/grid/steps" of a loaded method; null where there is none (see `reason`). */
  function program(key, name) {
    const method = methods[key];
    if (!method) return null;
    if (!(name in method.programs)) method.programs[name] = decode(method, name);
    return method.programs[name];
  }

  function reason(key, name) {
    return methods[key] ? methods[key].document.missing[name] || null : null;
  }

  function decode(method, name) {
    const entry = method.document.programs[name];
    if (!entry) return null;
    const nodes = nodesOf(name);
    const place = (k) => (k === null ? null : k >= 0 ? nodes[k] : method.levels[-1 - k]);
    let next = entry.n;
    let at = 0;
    const row = (terms) =>
      terms.map((k) => (k >= 0 ? [k, method.numbers[next++]] : [-1 - k, 1]));
    const tableaus = expand(entry.p).map((number, n) => {
      const pattern = method.document.patterns[number];
      const stages = pattern.s.map(row);
      const outputs = pattern.o.map(row);
      const refs = entry.l
        ? entry.l.slice(at, (at += stages.length + 1))
        : [...stages.map(() => n), n + 1];
      const levels = refs.map(place);
      return { r: pattern.r, q: pattern.q, stages, outputs, tags: pattern.t, target: levels.pop(), levels };
    });
    const counts = [0, 0];
    tableaus.forEach((tableau) => tableau.tags.forEach((tag) => counts[tag]++));
    return { prediction: entry.f, tableaus, evaluations: counts[0], conditions: counts[1] };
  }

  // --- the generic executor -----------------------------------------------------------------------------------------

  function combine(row, values, size) {
    if (!row.length) return null;
    if (row.length === 1 && row[0][1] === 1) return values[row[0][0]];
    const out = new Float64Array(size);
    for (const [k, c] of row) {
      const value = values[k];
      for (let i = 0; i < size; i++) out[i] += c * value[i];
    }
    return out;
  }

  /** One step of a tableau: external values y, field f(Y, level, tag), noise arrays; the new external values. */
  function step(tableau, y, f, noise) {
    const size = y[0].length;
    const values = [...y, ...new Array(tableau.stages.length).fill(null), ...noise];
    tableau.stages.forEach((row, i) => {
      values[tableau.r + i] = f(combine(row, values, size), tableau.levels[i], tableau.tags[i]);
    });
    return tableau.outputs.map((row) => combine(row, values, size));
  }

  /** Run a program from x; return the samples at the grid's nodes, x first. */
  function run(chosen, x, field, draw) {
    let y = [x, ...new Array(chosen.tableaus[0].r - 1).fill(null)];
    const path = [x];
    chosen.tableaus.forEach((tableau, index) => {
      const noise = Array.from({ length: tableau.q }, (_, column) => draw(index, column));
      y = step(tableau, y, field, noise);
      if (tableau.target) path.push(y[0]);
    });
    return path;
  }

  // --- Gaussian mixtures --------------------------------------------------------------------------------------------

  /** Prepare components [weight, mean x, mean y, deviation 1, deviation 2, angle]. */
  function mixture(components) {
    const total = components.reduce((sum, c) => sum + c[0], 0);
    return components.map((c) => ({
      logWeight: Math.log(c[0] / total),
      mx: c[1], my: c[2], v1: c[3] * c[3], v2: c[4] * c[4], cos: Math.cos(c[5]), sin: Math.sin(c[5]),
    }));
  }

  const logits = new Float64Array(64);
  const clean = new Float64Array(128);
  const noisy = new Float64Array(128);

  /** Fill the logarithms of the weighted densities of all components at (x, y), and their E[x0 | x], E[eps | x]. */
  function posterior(mix, x, y, alpha, sigma) {
    let most = -Infinity;
    for (let k = 0; k < mix.length; k++) {
      const c = mix[k];
      const dx = x - alpha * c.mx;
      const dy = y - alpha * c.my;
      const z1 = c.cos * dx + c.sin * dy;
      const z2 = -c.sin * dx + c.cos * dy;
      const s1 = alpha * alpha * c.v1 + sigma * sigma;
      const s2 = alpha * alpha * c.v2 + sigma * sigma;
      logits[k] = c.logWeight - 0.5 * ((z1 * z1) / s1 + (z2 * z2) / s2 + Math.log(s1 * s2));
      if (logits[k] > most) most = logits[k];
      const g1 = z1 / s1;
      const g2 = z2 / s2;
      const d1 = alpha * c.v1 * g1;
      const d2 = alpha * c.v2 * g2;
      clean[2 * k] = c.mx + c.cos * d1 - c.sin * d2;
      clean[2 * k + 1] = c.my + c.sin * d1 + c.cos * d2;
      noisy[2 * k] = sigma * (c.cos * g1 - c.sin * g2);
      noisy[2 * k + 1] = sigma * (c.sin * g1 + c.cos * g2);
    }
    return most;
  }

  /** log p(x, y) at a level. */
  function logDensity(mix, x, y, alpha, sigma) {
    const most = posterior(mix, x, y, alpha, sigma);
    let sum = 0;
    for (let k = 0; k < mix.length; k++) sum += Math.exp(logits[k] - most);
    return most + Math.log(sum) - Math.log(2 * Math.PI);
  }

  /** Write a E[x0 | x] + b E[eps | x] of one particle, times `whole`, plus `push` times the condition's difference. */
  function mean(mix, x, y, alpha, sigma, a, b, whole, push, component, out, at) {
    const most = posterior(mix, x, y, alpha, sigma);
    let sum = 0;
    let mx = 0;
    let my = 0;
    for (let k = 0; k < mix.length; k++) {
      const weight = Math.exp(logits[k] - most);
      sum += weight;
      mx += weight * (a * clean[2 * k] + b * noisy[2 * k]);
      my += weight * (a * clean[2 * k + 1] + b * noisy[2 * k + 1]);
    }
    mx /= sum;
    my /= sum;
    out[at] = whole * mx;
    out[at + 1] = whole * my;
    if (push !== 0) {
      out[at] += push * (a * clean[2 * component] + b * noisy[2 * component] - mx);
      out[at + 1] += push * (a * clean[2 * component + 1] + b * noisy[2 * component + 1] - my);
    }
  }

  const COMPONENTS = {
    data: () => [1, 0],
    noise: () => [0, 1],
    velocity: (level) => [level[2], level[3]],
  };

  function predict(mix, prediction, Y, level, whole, push, component) {
    const [a, b] = COMPONENTS[prediction](level);
    const out = new Float64Array(Y.length);
    for (let i = 0; i < Y.length; i += 2) {
      mean(mix, Y[i], Y[i + 1], level[0], level[1], a, b, whole, push, component, out, i);
    }
    return out;
  }

  /** The field that a program asks for: the guided model, or model and condition apart where it splits them. */
  function field(mix, chosen, guidance) {
    const split = chosen.conditions > 0;
    return (Y, level, tag) =>
      predict(mix, chosen.prediction, Y, level, tag ? 0 : 1, tag || !split ? guidance.scale : 0, guidance.component);
  }

  /** Model evaluations of a run, the condition's among them where the scale is not 0. */
  function evaluations(chosen, guidance) {
    if (guidance.scale === 0) return chosen.evaluations;
    return chosen.conditions > 0 ? chosen.evaluations + chosen.conditions : 2 * chosen.evaluations;
  }

  // --- the exact flow -----------------------------------------------------------------------------------------------

  /* x = alpha x0 + sigma eps on the arc alpha = r cos(theta), sigma = r sin(theta) with r = 1: the flow depends on
     sigma/alpha alone, so the sample is scaled onto the arc, and dx/dtheta = -sin E[x0 | x] + cos E[eps | x]. */

  const work = { K: Array.from({ length: 13 }, () => new Float64Array(2)), u: new Float64Array(2) };

  function slope(mix, theta, u, guidance, out) {
    const cosine = Math.cos(theta);
    const sine = Math.sin(theta);
    mean(mix, u[0], u[1], cosine, sine, -sine, cosine, 1, guidance.scale, guidance.component, out, 0);
  }

  function stageSums(K, row, count, h, u, out) {
    let sx = 0;
    let sy = 0;
    for (let j = 0; j < count; j++) {
      if (row[j] !== 0) {
        sx += row[j] * K[j][0];
        sy += row[j] * K[j][1];
      }
    }
    out[0] = u[0] + h * sx;
    out[1] = u[1] + h * sy;
  }

  /** Error of a step in units of the tolerance, by the two embedded formulas as Hairer combines them. */
  function stepError(K, h, table, scale) {
    let e5 = 0;
    let e3 = 0;
    for (let i = 0; i < 2; i++) {
      let a = 0;
      let b = 0;
      for (let j = 0; j < 13; j++) {
        a += table.E5[j] * K[j][i];
        b += table.E3[j] * K[j][i];
      }
      e5 += (a / scale) ** 2;
      e3 += (b / scale) ** 2;
    }
    return e5 === 0 && e3 === 0 ? 0 : (Math.abs(h) * e5) / Math.sqrt((e5 + 0.01 * e3) * 2);
  }

  function carry(mix, u, from, to, guidance, rtol) {
    const table = shared.dop853;
    const { K, u: trial } = work;
    let theta = from;
    let h = (to - from) / 40;
    slope(mix, theta, u, guidance, K[0]);
    for (let n = 0; n < 20000; n++) {
      const last = Math.abs(h) >= Math.abs(to - theta);
      if (last) h = to - theta;
      for (let i = 1; i < 12; i++) {
        stageSums(K, table.A[i], i, h, u, trial);
        slope(mix, theta + table.C[i] * h, trial, guidance, K[i]);
      }
      stageSums(K, table.B, 12, h, u, trial);
      slope(mix, theta + h, trial, guidance, K[12]);
      const scale = rtol * (1 + Math.max(Math.hypot(u[0], u[1]), Math.hypot(trial[0], trial[1])));
      const error = stepError(K, h, table, scale);
      if (error <= 1) {
        theta = last ? to : theta + h;
        u[0] = trial[0];
        u[1] = trial[1];
        if (last) return;
        K[0].set(K[12]);
      }
      h *= Math.min(6, Math.max(0.2, 0.9 * (error || 1e-12) ** -0.125));
    }
    throw new Error("the exact flow needs more than 20000 steps");
  }

  /** Carry all particles along the (guided) probability-flow ODE from one level to another. */
  function flow(mix, x, from, to, guidance, rtol = 1e-12) {
    const out = new Float64Array(x.length);
    const before = Math.hypot(from[0], from[1]);
    const after = Math.hypot(to[0], to[1]);
    const u = new Float64Array(2);
    for (let i = 0; i < x.length; i += 2) {
      u[0] = x[i] / before;
      u[1] = x[i + 1] / before;
      carry(mix, u, Math.atan2(from[1], from[0]), Math.atan2(to[1], to[0]), guidance, rtol);
      out[i] = u[0] * after;
      out[i + 1] = u[1] * after;
    }
    return out;
  }

  // --- noise: Philox 4x32-10, as book/tools/playground_noise.py ------------------------------------------------------

  const INITIAL = 0xffffffff;

  /** High word of the 64-bit product of two words. */
  function high(a, b) {
    const a0 = a & 0xffff;
    const a1 = a >>> 16;
    const b0 = b & 0xffff;
    const b1 = b >>> 16;
    const middle = a1 * b0 + ((a0 * b0) / 65536 >>> 0);
    const lower = a0 * b1 + (middle % 65536);
    return (a1 * b1 + Math.floor(middle / 65536) + Math.floor(lower / 65536)) >>> 0;
  }

  function philox(counter, key) {
    let [a, b, c, d] = counter;
    let [k, l] = key;
    for (let i = 0; i < 10; i++) {
      const h0 = high(0xd2511f53, a);
      const l0 = Math.imul(0xd2511f53, a) >>> 0;
      const h1 = high(0xcd9e8d57, c);
      const l1 = Math.imul(0xcd9e8d57, c) >>> 0;
      [a, b, c, d] = [(h1 ^ b ^ k) >>> 0, l1, (h0 ^ d ^ l) >>> 0, l0];
      k = (k + 0x9e3779b9) >>> 0;
      l = (l + 0xbb67ae85) >>> 0;
    }
    return [a, b, c, d];
  }

  /** Standard normal pairs of n particles: a function of the seed, the tableau's number and the noise column. */
  function normals(seed, n, index = INITIAL, column = 0) {
    const out = new Float64Array(2 * n);
    for (let i = 0; i < n; i++) {
      const words = philox([i, index, column, 0], [seed, 0]);
      const radius = Math.sqrt(-2 * Math.log((words[0] + 0.5) / 4294967296));
      const angle = (2 * Math.PI * (words[1] + 0.5)) / 4294967296;
      out[2 * i] = radius * Math.cos(angle);
      out[2 * i + 1] = radius * Math.sin(angle);
    }
    return out;
  }

  // --- errors -------------------------------------------------------------------------------------------------------

  function distances(x, y) {
    const out = new Float64Array(x.length / 2);
    for (let i = 0; i < out.length; i++) out[i] = Math.hypot(x[2 * i] - y[2 * i], x[2 * i + 1] - y[2 * i + 1]);
    return out;
  }

  /** Root mean square and median of the distances between two sets of points, pair by pair. */
  function errors(x, y) {
    const d = distances(x, y);
    const sorted = Array.from(d).sort((a, b) => a - b);
    const middle = sorted.length >> 1;
    const median = sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
    return { rms: Math.sqrt(d.reduce((sum, e) => sum + e * e, 0) / d.length), median };
  }

  return {
    shared, share, register, load, program, reason, nodesOf, step, run, mixture, logDensity, predict, field,
    evaluations, flow, philox, normals, errors,
  };
})();
