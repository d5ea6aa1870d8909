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

  const round = (x, digits) => Number(x.toFixed(digits));

  function components(state) {
    const given = numdiffPlayground.shared.mixtures[state.mixture].components;
    return given.map((c, k) => (state.means ? [c[0], ...state.means[k], c[3], c[4], c[5]] : c));
  }

  function write(state) {
    const side = ({ key, grid, steps }) => `${key}/${grid}/${steps}`;
    const parts = [
      ["a", side(state.a)], ["b", side(state.b)], ["mixture", state.mixture], ["schedule", state.schedule],
      ["particles", state.particles], ["seed", state.seed], ["scale", state.scale], ["component", state.component + 1],
      ["place", round(state.place, 4)], ["paths", state.trajectories ? 1 : 0],
    ];
    if (state.means) parts.push(["means", state.means.map((m) => m.map((x) => round(x, 3)).join(",")).join(";")]);
    return "#" + parts.map(([name, value]) => `${name}=${value}`).join("&");
  }

  const within = (low, high) => (text) => {
    const value = text.trim() === "" ? NaN : Number(text);
    return value >= low && value <= high ? value : undefined;
  };
  const whole = (low, high) => (text) => {
    const value = within(low, high)(text);
    return Number.isInteger(value) ? value : undefined;
  };
  const among = (known) => (text) => (Object.hasOwn(known, text) ? text : undefined);

  function side(text) {
    const { member, grids, steps } = numdiffPlayground.shared;
    const [key, grid, count] = text.split("/");
    const known = Object.hasOwn(member, key) && Object.hasOwn(grids, grid) && steps.includes(Number(count));
    return known ? { key, grid, steps: Number(count) } : undefined;
  }

  function means(text) {
    const found = text.split(";").map((pair) => pair.split(",").map(within(-REACH, REACH)));
    return found.every((pair) => pair.length === 2 && !pair.includes(undefined)) ? found : undefined;
  }

  function readers() {
    const { mixtures, schedules } = numdiffPlayground.shared;
    const numbered = (text) => {
      const value = whole(1, 64)(text);
      return value === undefined ? undefined : value - 1;
    };
    const flag = (text) => ({ 0: false, 1: true })[text];
    return {
      a: ["a", side], b: ["b", side], mixture: ["mixture", among(mixtures)], schedule: ["schedule", among(schedules)],
      particles: ["particles", (text) => (PARTICLES.includes(Number(text)) ? Number(text) : undefined)],
      seed: ["seed", whole(0, 4294967295)], scale: ["scale", within(0, MOST_SCALE)],
      component: ["component", numbered],
      place: ["place", within(0, 1)], paths: ["trajectories", flag], means: ["means", means],
    };
  }

  /** Read a link's hash; return the state and the parts that were not understood, which keep their defaults. */
  function read(hash) {
    const state = initial();
    const unknown = [];
    const known = readers();
    for (const part of hash.replace(/^#/, "").split("&").filter(Boolean)) {
      const at = part.indexOf("=");
      const name = part.slice(0, at);
      let value;
      if (Object.hasOwn(known, name)) {
        try {
          value = known[name][1](decodeURIComponent(part.slice(at + 1)));
        } catch (error) {
          value = undefined;
        }
      }
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

  return { PARTICLES, MOST_SCALE, REACH, initial, components, write, read };
})();
