/* What the sampler playground shows, as data, and its form in links: everything is in location.hash. */
"use strict";

numdiffPlayground.state = (function () {
  const PARTICLES = [50, 100, 200, 400];
  const MOST_SCALE = 6;
  const REACH = 3; // how far from the middle a component may be moved, in either direction

  function initial() {
    return {
      mixture: "ring", means: null, schedule: "vp-linear", particles: 200, seed: 1, scale: 0, component: 0, place: 1,
      trajectories: true,
      a: { key: "dpmpp_2", grid: "log-snr", steps: 10 },
      b: { key: "ddim", grid: "log-snr", steps: 10 },
    };
  }

  function components(state) {
    const given = numdiffPlayground.shared.mixtures[state.mixture].components;
    return given.map((c, k) => (state.means ? [c[0], ...state.means[k], c[3], c[4], c[5]] : c));
  }

  /* A link's hash is a valid CSS selector, #view__name--value--value__name--value: the theme looks every link of a page
     up as one. So numbers are whole: scales in hundredths, places in ten-thousandths, means in thousandths. */

  const MARK = "#view__";

  function write(state) {
    const side = ({ key, grid, steps }) => [key, grid, steps];
    const parts = [
      ["a", ...side(state.a)], ["b", ...side(state.b)], ["mixture", state.mixture], ["schedule", state.schedule],
      ["particles", state.particles], ["seed", state.seed], ["scale", Math.round(100 * state.scale)],
      ["component", state.component + 1], ["place", Math.round(1e4 * state.place)], ["paths", Number(state.trajectories)],
    ];
    if (state.means) parts.push(["means", ...state.means.flat().map((x) => Math.round(1000 * x))]);
    return MARK + parts.map((part) => part.join("--")).join("__");
  }

  const whole = (low, high, text) => {
    const value = /^-?\d+$/.test(text) ? Number(text) : NaN;
    return value >= low && value <= high ? value : undefined;
  };
  const scaled = (most, unit) => ([text]) => {
    const value = whole(-most * unit, most * unit, text);
    return value === undefined ? undefined : value / unit;
  };
  const unsigned = (most, unit) => ([text]) => (whole(0, most * unit, text) === undefined ? undefined : Number(text) / unit);
  const among = (known) => ([text]) => (Object.hasOwn(known, text) ? text : undefined);

  function side([key, grid, steps]) {
    const { member, grids } = numdiffPlayground.shared;
    const known = Object.hasOwn(member, key) && Object.hasOwn(grids, grid);
    return known && numdiffPlayground.shared.steps.includes(Number(steps)) ? { key, grid, steps: Number(steps) } : undefined;
  }

  function means(texts) {
    const found = texts.map((text) => scaled(REACH, 1000)([text]));
    if (found.includes(undefined) || found.length % 2) return undefined;
    return Array.from({ length: found.length / 2 }, (_, k) => found.slice(2 * k, 2 * k + 2));
  }

  function numbered([text]) {
    const value = whole(1, 64, text);
    return value === undefined ? undefined : value - 1;
  }

  /** For every part of a hash the entry of the state and what reads it; undefined is what cannot be read. */
  function readers() {
    const { mixtures, schedules } = numdiffPlayground.shared;
    return {
      a: ["a", side], b: ["b", side], mixture: ["mixture", among(mixtures)], schedule: ["schedule", among(schedules)],
      particles: ["particles", ([text]) => PARTICLES.find((n) => String(n) === text)],
      seed: ["seed", unsigned(4294967295, 1)], scale: ["scale", unsigned(MOST_SCALE, 100)],
      component: ["component", numbered], place: ["place", unsigned(1, 1e4)],
      paths: ["trajectories", ([text]) => ({ 0: false, 1: true })[text]], means: ["means", means],
    };
  }

  const ours = (hash) => hash.startsWith(MARK);

  /** Read a link's hash; return the state and the parts that were not understood, which keep their defaults. */
  function read(hash) {
    const state = initial();
    const unknown = [];
    const known = readers();
    for (const part of ours(hash) ? hash.slice(MARK.length).split("__") : []) {
      const [name, ...texts] = part.split("--");
      const value = Object.hasOwn(known, name) && texts.length ? known[name][1](texts) : undefined;
      if (value === undefined) unknown.push(part);
      else state[known[name][0]] = value;
    }
    const count = numdiffPlayground.shared.mixtures[state.mixture].components.length;
    const refuse = (name, value) => {
      state[name] = value;
      unknown.push(name);
    };
    if (state.means && state.means.length !== count) refuse("means", null);
    if (state.component >= count) refuse("component", 0);
    return { state, unknown };
  }

  return { PARTICLES, MOST_SCALE, REACH, initial, components, write, read, ours };
})();
