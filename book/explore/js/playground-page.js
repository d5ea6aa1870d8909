/* The sampler playground's page: it reads the controls, runs both samplers, and shows what came of it. */
"use strict";

(function () {
  const P = numdiffPlayground;
  const { state: forms, view, build } = P;
  const SIDES = ["a", "b"];
  const SECONDS = 4; // of a run that is played from end to end
  const still = window.matchMedia("(prefers-reduced-motion: reduce)");

  let root, folder, at, state = null;
  const now = { a: {}, b: {} }; // what the two samplers made: program, path, errors, reason
  let problem = {};
  let ticket = 0;
  let playing = null;
  const timers = {};

  /** Call `action` once things have been quiet for some milliseconds. */
  function later(name, milliseconds, action) {
    clearTimeout(timers[name]);
    timers[name] = setTimeout(action, milliseconds);
  }

  // --- computing ----------------------------------------------------------------------------------------------------

  /** Make what both samplers share: mixture, first samples, exact end points. `rough` while something is dragged. */
  function pose(rough) {
    const mix = P.mixture(forms.components(state));
    const guidance = { scale: state.scale, component: state.component };
    const [from, to] = P.shared.schedules[state.schedule];
    const draws = problem.seed === state.seed && problem.n === state.particles ? problem.draws : new Map();
    problem = { mix, guidance, draws, seed: state.seed, n: state.particles };
    problem.start = P.normals(state.seed, state.particles);
    problem.exact = P.flow(mix, problem.start, from, to, guidance, rough ? 1e-7 : 1e-12);
    problem.density = view.density(mix, to, view.colours(root).density);
  }

  /** Noise of a tableau and column, drawn once: both samplers and all numbers of steps have the same. */
  function draw(index, column) {
    const name = index + "/" + column;
    if (!problem.draws.has(name)) problem.draws.set(name, P.normals(state.seed, state.particles, index, column));
    return problem.draws.get(name);
  }

  function solve(side, steps) {
    const { key, grid } = state[side];
    const name = `${state.schedule}/${grid}/${steps}`;
    const program = P.program(key, name);
    if (!program) return { reason: P.reason(key, name) };
    const path = P.run(program, problem.start, P.field(problem.mix, program, problem.guidance), draw);
    const evaluations = P.evaluations(program, problem.guidance);
    return { program, path, evaluations, ...P.errors(path[path.length - 1], problem.exact) };
  }

  function series() {
    return SIDES.map((side) => {
      const solved = P.shared.steps.map((steps) => (steps === state[side].steps ? now[side] : solve(side, steps)));
      const points = solved.filter((one) => one.program).map((one) => [one.evaluations, one.rms]);
      return { letter: side, points, chosen: now[side].evaluations };
    });
  }

  /** Bring everything up to date with the state; the address too, if the reader has `asked` for a change. */
  async function refresh({ posed = true, rough = false, asked = true } = {}) {
    const mine = ++ticket;
    fill();
    try {
      await Promise.all(SIDES.map((side) => P.load(state[side].key, folder)));
    } catch (error) {
      at.status.textContent = error.message;
      return;
    }
    if (mine !== ticket) return;
    if (posed || !problem.mix) pose(rough);
    SIDES.forEach((side) => (now[side] = solve(side, state[side].steps)));
    paint();
    tell();
    if (rough) later("exact", 250, () => refresh());
    else finish(asked);
  }

  function intoAddress() {
    later("link", 150, () => history.replaceState(null, "", forms.write(state)));
  }

  function finish(asked) {
    if (asked) intoAddress();
    later("words", 500, () => (at.words.textContent = words()));
    later("chart", 30, () => {
      const found = series();
      view.chart(at.chart, found);
      P.page.series = found;
      root.dataset.ready = String(Number(root.dataset.ready || 0) + 1);
    });
  }

  // --- showing ------------------------------------------------------------------------------------------------------

  function paint() {
    const colours = view.colours(root);
    SIDES.forEach((side) => {
      view.plane(at[side + "-canvas"], {
        density: problem.density, path: now[side].path, exact: problem.exact, place: state.place,
        colour: colours[side], text: colours.text, faintest: colours.faintest, trajectories: state.trajectories,
        joined: !P.shared.member[state[side].key].noise, // with noise a particle has no exact end point of its own
      });
    });
    at.place.value = state.place;
    at.place.setAttribute("aria-valuetext", placeWords());
  }

  function placeWords() {
    const position = (side) => (state.place * state[side].steps).toFixed(1).replace(".0", "");
    return `step ${position("a")} of ${state.a.steps} of sampler A, ${position("b")} of ${state.b.steps} of sampler B`;
  }

  function digits(x) {
    if (!Number.isFinite(x)) return "not finite";
    return x !== 0 && (x < 1e-3 || x >= 1e3) ? x.toExponential(1).replace("-", "\u2212") : x.toPrecision(3);
  }

  function note(side) {
    if (now[side].reason) return `Not on offer: ${now[side].reason}.`;
    if (P.shared.member[state[side].key].noise) {
      return "Adds noise on the way: its end points follow the law of the data and not the flow, so this distance does " +
        "not tend to 0.";
    }
    return "";
  }

  function counted() {
    return state.scale ? "evaluations, guidance included" : "evaluations";
  }

  function tell() {
    SIDES.forEach((side) => {
      const { reason, evaluations, rms, median } = now[side];
      at[side + "-counted"].textContent = counted();
      at[side + "-count"].textContent = reason ? "\u2013" : evaluations;
      at[side + "-rms"].textContent = reason ? "\u2013" : digits(rms);
      at[side + "-median"].textContent = reason ? "\u2013" : digits(median);
      at[side + "-note"].textContent = note(side);
    });
  }

  function words() {
    return SIDES.map((side) => {
      const { name } = P.shared.member[state[side].key];
      const { reason, evaluations, rms, median } = now[side];
      const head = `Sampler ${side.toUpperCase()}, ${name}, ${state[side].steps} steps, ${P.shared.grids[state[side].grid]}: `;
      return head + (reason ? note(side) : `${evaluations} ${counted()}, RMS error at the end ${digits(rms)}, median ${digits(median)}.`);
    }).join(" ");
  }

  /** Set every control to the state. */
  function fill() {
    const components = forms.components(state);
    build.options(at.component, components.map((_, k) => [k, `component ${k + 1}`]));
    ["mixture", "schedule", "particles", "component", "scale"].forEach((name) => (at[name].value = state[name]));
    at["scale-shown"].textContent = state.scale;
    at.paths.checked = state.trajectories;
    at.reset.disabled = !state.means;
    SIDES.forEach(fillSide);
    P.handles.place(components, state);
  }

  function fillSide(side) {
    const { key, grid, steps } = state[side];
    const member = P.shared.member[key];
    at[side + "-family"].value = `${member.group}|${member.family}`;
    const fellows = P.shared.members.filter((m) => m.group === member.group && m.family === member.family);
    build.options(at[side + "-member"], fellows.map((m) => [m.key, m.label]));
    at[side + "-member"].value = key;
    at[side + "-grid"].value = grid;
    at[side + "-steps"].value = P.shared.steps.indexOf(steps);
    at[side + "-steps"].setAttribute("aria-valuetext", `${steps} steps`);
    at[side + "-steps-shown"].textContent = steps;
    const order = member.order ? `formula of ${member.noise ? "weak order" : "order"} ${member.order}` : "no order claimed";
    const kind = member.noise ? "adds noise" : "deterministic";
    at[side + "-summary"].textContent = `${member.name}: ${order}, ${kind}. ${member.summary}.`;
  }

  // --- the run ------------------------------------------------------------------------------------------------------

  function go(place) {
    state.place = Math.min(1, Math.max(0, place));
    paint();
    intoAddress();
  }

  /** Move by whole steps of sampler A. */
  function stepBy(count) {
    pause();
    const position = state.place * state.a.steps;
    const from = count > 0 ? Math.floor(position + 1e-9) : Math.ceil(position - 1e-9);
    go((from + count) / state.a.steps);
  }

  function pause() {
    if (playing !== null) cancelAnimationFrame(playing);
    playing = null;
    at.play.textContent = "Play";
  }

  function play() {
    if (playing !== null) return pause();
    const first = state.place >= 1 ? 0 : state.place;
    let begin = null;
    at.play.textContent = "Pause";
    const frame = (time) => {
      begin = begin === null ? time : begin;
      const place = first + (time - begin) / 1000 / (still.matches ? 2 * SECONDS : SECONDS);
      if (place >= 1) {
        pause();
        return go(1);
      }
      go(still.matches ? Math.floor(place * state.a.steps) / state.a.steps : place); // no motion: whole steps only
      playing = requestAnimationFrame(frame);
    };
    playing = requestAnimationFrame(frame);
  }

  // --- controls -----------------------------------------------------------------------------------------------------

  function listen() {
    at.mixture.addEventListener("change", () => change({ mixture: at.mixture.value, means: null, component: 0 }));
    at.schedule.addEventListener("change", () => change({ schedule: at.schedule.value }));
    at.particles.addEventListener("change", () => change({ particles: Number(at.particles.value) }));
    at.noise.addEventListener("click", () => change({ seed: (state.seed + 1) % 4294967296 }));
    at.component.addEventListener("change", () => change({ component: Number(at.component.value) }));
    at.scale.addEventListener("input", () => change({ scale: Number(at.scale.value) }, true));
    at.reset.addEventListener("click", () => change({ means: null }));
    at.paths.addEventListener("change", () => {
      state.trajectories = at.paths.checked;
      go(state.place);
    });
    at.play.addEventListener("click", play);
    at.back.addEventListener("click", () => stepBy(-1));
    at.forward.addEventListener("click", () => stepBy(1));
    at.place.addEventListener("input", () => (pause(), go(Number(at.place.value))));
    at.copy.addEventListener("click", copy);
    SIDES.forEach(listenSide);
  }

  function listenSide(side) {
    const choose = (changes) => {
      Object.assign(state[side], changes);
      refresh({ posed: false });
    };
    at[side + "-family"].addEventListener("change", (event) => {
      const [group, family] = event.target.value.split("|");
      choose({ key: P.shared.members.find((m) => m.group === group && m.family === family).key });
    });
    at[side + "-member"].addEventListener("change", (event) => choose({ key: event.target.value }));
    at[side + "-grid"].addEventListener("change", (event) => choose({ grid: event.target.value }));
    at[side + "-steps"].addEventListener("input", (event) => choose({ steps: P.shared.steps[event.target.value] }));
  }

  function change(changes, rough = false) {
    Object.assign(state, changes);
    refresh({ rough });
  }

  async function copy() {
    history.replaceState(null, "", forms.write(state));
    try {
      await navigator.clipboard.writeText(location.href);
      at.status.textContent = "The link is copied.";
    } catch (error) {
      at.status.textContent = "The browser does not let a page copy; the link is in the address bar.";
    }
  }

  function moveComponent(k, x, y, done) {
    const means = forms.components(state).map((c) => [c[1], c[2]]);
    const bound = (v) => Math.min(forms.REACH, Math.max(-forms.REACH, v));
    means[k] = [Math.round(bound(x) * 1000) / 1000, Math.round(bound(y) * 1000) / 1000];
    change({ means }, !done);
  }

  /** Show what the address says. Another hash is a heading's, and none of ours. */
  function fromHash() {
    if (location.hash && !forms.ours(location.hash) && state) return;
    pause();
    const found = forms.read(location.hash);
    state = P.page.state = found.state;
    const lost = found.unknown.join(", ");
    at.status.textContent = lost ? `Not understood in the link, and left at the default: ${lost}` : "";
    refresh({ asked: false });
  }

  function populate() {
    const { mixtures, schedules, grids, members } = P.shared;
    const names = { "vp-linear": "VP, linear beta", flow: "flow matching" };
    build.options(at.mixture, Object.entries(mixtures).map(([key, value]) => [key, value.name]));
    build.options(at.schedule, Object.keys(schedules).map((key) => [key, names[key]]));
    build.options(at.particles, forms.PARTICLES.map((n) => [n, String(n)]));
    const groups = new Map();
    members.forEach((member) => {
      if (!groups.has(member.group)) groups.set(member.group, new Map());
      groups.get(member.group).set(`${member.group}|${member.family}`, member.title);
    });
    SIDES.forEach((side) => {
      at[side + "-family"].append(...build.grouped([...groups].map(([name, map]) => [name, [...map]])));
      build.options(at[side + "-grid"], Object.entries(grids));
    });
  }

  function start() {
    root = document.getElementById("numdiff-playground");
    folder = root.dataset.folder;
    at = build.build(root, forms.MOST_SCALE);
    populate();
    P.page = { now, series: [], get problem() { return problem; } };
    P.handles.attach(at["a-plane"], moveComponent);
    listen();
    window.addEventListener("hashchange", () => {
      fromHash();
      if (forms.ours(location.hash)) root.scrollIntoView({ behavior: still.matches ? "auto" : "smooth" });
    });
    new ResizeObserver(() => {
      if (!problem.mix) return;
      paint();
      view.chart(at.chart, P.page.series);
    }).observe(at["a-plane"]);
    new MutationObserver(() => problem.mix && refresh({ asked: false })).observe(document.documentElement, {
      attributes: true, attributeFilter: ["data-theme"],
    });
    fromHash();
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
