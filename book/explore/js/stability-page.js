/* The page of the stability explorer: puts state, controls, canvases and events together. */
"use strict";

(function () {
  const S = numdiffStability, V = numdiffStabilityView, C = numdiffStabilityControls, T = numdiffStabilityState;
  const { element, field } = C;
  const root = document.getElementById("explorer-stability");
  if (!root) return;

  let state = T.fromHash(location.hash), hover = null, base = null, view = null, width = 0, height = 0;
  let frame = 0, stale = true, spoken = 0, written = 0;

  // --- elements ---

  const canvas = element("canvas", {
    id: "stability-plane", tabindex: "0", role: "application", "aria-label": "Stability region in the complex z plane",
    "aria-describedby": "stability-keys stability-summary",
  });
  const rootsCanvas = element("canvas", { id: "stability-roots", role: "img", "aria-label": "Roots zeta at the pointer and the unit circle" });
  const button = (id, text, label, act) => {
    const made = element("button", { type: "button", id, class: "explorer-button", "aria-label": label, title: label }, text);
    made.addEventListener("click", act);
    return made;
  };
  const keys = "Arrow keys move the pointer, with Shift the view; plus and minus zoom, 0 shows the whole region.";
  const first = C.create("stability-first", "Method", (chosen) => choose("first", chosen));
  const second = C.create("stability-second", "Compared with", (chosen) => choose("second", chosen));
  const compare = element("input", { type: "checkbox", id: "stability-compare" });
  const step = C.slider("stability-h", "Step h in log-SNR", "h", (value) => set({ h: value }));
  const facts = element("dl", { class: "explorer-facts" });
  const verdict = element("p", { id: "stability-verdict", class: "explorer-verdict" });
  const rootList = element("p", { class: "explorer-roots-text" });
  const summary = element("p", { id: "stability-summary", class: "explorer-hidden", "aria-live": "polite" });
  const copied = element("span", { class: "explorer-copied", role: "status" });
  const share = button("stability-copy", "Copy link", "Copy a link to this picture", copy);

  function build() {
    const plot = element("div", { class: "explorer-plot" }, canvas,
      element("div", { class: "explorer-zoom" }, button("stability-in", "+", "Zoom in", () => zoom(1 / 1.5)),
        button("stability-out", "\u2212", "Zoom out", () => zoom(1.5)), button("stability-fit", "Fit", "Show the whole region", fit)));
    const reading = element("div", { class: "explorer-reading" }, rootsCanvas,
      element("div", { class: "explorer-words" }, verdict, rootList));
    const check = element("div", { class: "explorer-check" }, compare, element("label", { for: compare.id }, "Compare with a second method"));
    const panel = element("div", { class: "explorer-panel" }, first.element, step, check, second.element,
      element("div", { class: "explorer-share" }, share, copied));
    root.replaceChildren(element("div", { class: "explorer-main" }, plot, reading, facts), panel, summary,
      element("p", { id: "stability-keys", class: "explorer-keys" }, keys));
    compare.addEventListener("change", () => { state.view = null; set({ compare: compare.checked }); });
  }

  // --- state ---

  function choose(which, chosen) {
    const before = state[which];
    const same = ["family", "order", "formulation", "variant"].every((key) => before[key] === chosen[key]);
    if (!same) state.view = view = null;
    set({ [which]: chosen });
  }

  /** Change the state and show it; with a slider the view stays, so that one sees the region move. */
  function set(changes) {
    if (view && !("view" in changes)) changes = { view: state.view || null, ...changes };
    state = { ...state, ...changes };
    controls();
    stale = true;
    later();
  }

  function controls() {
    first.show(state.first);
    second.show(state.second);
    second.element.hidden = !state.compare;
    compare.checked = state.compare;
    const needs = chosen().some((m) => S.find(m).needs.h);
    step.hidden = !needs;
    if (needs) step.show(state.h);
  }

  const chosen = () => (state.compare ? [state.first, state.second] : [state.first]);
  const models = () => chosen().map((m) => S.model(m, { beta: m.beta, h: state.h }));

  function remember() {
    clearTimeout(written);
    written = setTimeout(() => {
      const text = `#${T.toHash(state)}`;
      if (location.hash !== text) history.replaceState(null, "", text);
    }, 200);
  }

  window.addEventListener("hashchange", () => {
    if (location.hash === `#${T.toHash(state)}`) return;
    if (!/[#&]m=/.test(location.hash)) return; // a heading of the page
    state = T.fromHash(location.hash);
    view = null;
    set({});
    const box = canvas.getBoundingClientRect();
    if (box.bottom < 100 || box.top > window.innerHeight - 100) root.scrollIntoView();
  });

  function copy() {
    const text = `${location.href.replace(/#.*/, "")}#${T.toHash(state)}`;
    history.replaceState(null, "", text);
    const done = (words) => { copied.textContent = words; setTimeout(() => { copied.textContent = ""; }, 4000); };
    const byHand = () => {
      const area = element("textarea", { "aria-label": "Link" });
      area.value = text;
      document.body.append(area);
      area.select();
      const worked = document.execCommand("copy"); // pages from file:// have no clipboard of their own
      area.remove();
      done(worked ? "Link copied" : "The link is in the address bar");
    };
    if (navigator.clipboard && window.isSecureContext) navigator.clipboard.writeText(text).then(() => done("Link copied"), byHand);
    else byHand();
  }

  // --- drawing ---

  function colours() {
    const style = getComputedStyle(root), get = (name) => style.getPropertyValue(`--explorer-${name}`).trim();
    return {
      first: get("first"), second: get("second"), bad: get("bad"), grid: get("grid"), axis: get("axis"), text: get("text"), background: get("background"),
      fill: get("fill").split(/\s+/).map(Number),
    };
  }

  function sized(target, w, h) {
    const ratio = Math.min(window.devicePixelRatio || 1, 2), pw = Math.round(w * ratio), ph = Math.round(h * ratio);
    if (target.width !== pw || target.height !== ph) { target.width = pw; target.height = ph; }
    const context = target.getContext("2d");
    context.setTransform(pw / w, 0, 0, ph / h, 0, 0);
    return context;
  }

  function later() {
    if (!frame) frame = requestAnimationFrame(() => { frame = 0; redraw(); });
  }

  /** Draw what has changed: the picture where the method or the view did, the pointer always. */
  function redraw() {
    width = Math.min(Math.round(canvas.clientWidth), 4096);
    height = Math.min(Math.round(canvas.clientHeight), 4096);
    if (!width || !height) return;
    const all = models(), tints = colours();
    if (!view) view = state.view || V.fitted(all, width, height);
    if (stale) {
      base = base || document.createElement("canvas");
      V.picture(sized(base, width, height), all, view, width, height, tints);
      tell(all);
    }
    stale = false;
    const context = sized(canvas, width, height), [x, y] = hover || state.pointer, at = V.toPixel(view, width, height, x, y);
    context.clearRect(0, 0, width, height);
    context.drawImage(base, 0, 0, width, height);
    point(all, context, at, tints);
    remember();
  }

  function point(all, context, at, tints) {
    const [x, y] = hover || state.pointer, found = all.map((m) => m.roots(x, y)), stable = all.map((m) => m.stable(x, y));
    V.cross(context, ...at, tints, stable[0]);
    const size = Math.round(rootsCanvas.clientWidth) || 150;
    V.inset(sized(rootsCanvas, size, size), found, size, tints);
    const radius = found.map((roots) => Math.max(...roots.map((z) => Math.hypot(...z))));
    const word = (k) => `spectral radius ${number(radius[k])}, ${stable[k] ? "stable" : "unstable"}`;
    verdict.textContent = `z = ${complex([x, y])}: ${word(0)}${all.length > 1 ? `; compared method: ${word(1)}` : ""}`;
    verdict.dataset.stable = String(stable[0]);
    const sorted = found[0].slice().sort((a, b) => Math.hypot(...b) - Math.hypot(...a));
    rootList.textContent = `Roots ζ: ${sorted.map(complex).join(", ")}`;
    say();
  }

  const minus = (text) => text.replace(/-/g, "\u2212");
  const number = (v) => minus(v.toPrecision(4));
  const complex = ([x, y]) => `${minus(x.toFixed(3))} ${y < 0 ? "\u2212" : "+"} ${Math.abs(y).toFixed(3)}i`;

  /** The intervals, as numbers and in closed form where there is one. */
  function tell(all) {
    const rows = [];
    for (const [axis, name, show] of [["real", "Real interval", (e) => `(\u2212${e}, 0)`], ["imaginary", "Imaginary interval", (e) => `(\u2212${e}i, ${e}i)`]]) {
      all.forEach((model, k) => {
        const end = model.interval(axis), text = end === Infinity ? "endless" : end === 0 ? "none" : show(end.toPrecision(6));
        const form = S.polynomials[S.find(chosen()[k]).polynomial].intervals[axis];
        const value = element("dd", { "data-axis": axis, "data-which": String(k) }, element("span", {}, text));
        if (form) value.append(formula(`${axis === "real" ? "x" : "y"}^* = ${form}`));
        rows.push(element("dt", {}, k ? `${name}, compared` : name), value);
      });
    }
    facts.replaceChildren(...rows);
  }

  const typeset = new Map();

  /** Return an element with a formula, set by the page's MathJax once that is ready; the formulas are kept. */
  function formula(latex) {
    if (!typeset.has(latex)) {
      const made = element("span", { class: "explorer-formula", tabindex: "0", role: "math", "aria-label": latex });
      typeset.set(latex, made);
      const ready = () => (window.MathJax && MathJax.startup && MathJax.startup.promise ? MathJax.startup.promise : null);
      const put = () => ready().then(() => MathJax.tex2svgPromise(latex, { display: false })).then((svg) => made.replaceChildren(svg));
      if (ready()) put(); else window.addEventListener("load", () => { if (ready()) put(); else made.textContent = latex; });
    }
    return typeset.get(latex);
  }

  /** Say what the picture shows to those who do not see it, once things have come to rest. */
  function say() {
    clearTimeout(spoken);
    spoken = setTimeout(() => {
      const intervals = [...facts.children].map((e) => e.firstElementChild ? `${e.firstElementChild.textContent}.` : `${e.textContent}:`).join(" ");
      const names = chosen().map((m) => S.find(m).name.replace("beta", `beta = ${m.beta}`)).join(" compared with ");
      summary.textContent = `${names}. ${intervals} At ${verdict.textContent}.`;
    }, 500);
  }

  // --- moving about ---

  const plane = (event) => {
    const box = canvas.getBoundingClientRect();
    return V.toPlane(view, width, height, event.clientX - box.left, event.clientY - box.top);
  };

  function look(next) {
    view = { x: clamp(next.x), y: clamp(next.y), r: Math.min(Math.max(next.r, 1e-6), 1e4) };
    state.view = { ...view };
    stale = true;
    later();
  }

  const clamp = (v) => Math.min(Math.max(v, -1e4), 1e4);

  /** Zoom by a factor about a point of the plane, by default the pointer if it is in sight. */
  function zoom(factor, about) {
    const [px, py] = V.toPixel(view, width, height, ...state.pointer), seen = px > 0 && py > 0 && px < width && py < height;
    const [x, y] = about || (seen ? state.pointer : [view.x, view.y]);
    look({ x: x + (view.x - x) * factor, y: y + (view.y - y) * factor, r: view.r * factor });
  }

  function fit() { state.view = view = null; stale = true; later(); }

  canvas.addEventListener("wheel", (event) => {
    if (document.activeElement !== canvas && !event.ctrlKey) return; // a page that is scrolled past stays as it is
    event.preventDefault();
    zoom(Math.exp(Math.max(-60, Math.min(60, event.deltaY)) * 0.004), plane(event));
  }, { passive: false });

  const fingers = new Map();
  let moved = 0;
  canvas.addEventListener("pointerdown", (event) => {
    canvas.focus({ preventScroll: true });
    canvas.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, [event.clientX, event.clientY]);
    if (fingers.size === 1) moved = 0;
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!view) return;
    if (!fingers.has(event.pointerId)) { if (event.pointerType === "mouse") { hover = plane(event); later(); } return; }
    const before = [...fingers.values()], [x, y] = fingers.get(event.pointerId);
    fingers.set(event.pointerId, [event.clientX, event.clientY]);
    moved += Math.hypot(event.clientX - x, event.clientY - y);
    if (moved < 5) return;
    hover = null;
    if (fingers.size === 1) {
      const s = V.scale(view, width);
      look({ ...view, x: view.x - (event.clientX - x) / s, y: view.y + (event.clientY - y) / s });
    } else pinch(before, [...fingers.values()]);
  });

  function pinch([a, b], [c, d]) {
    const box = canvas.getBoundingClientRect(), middle = (p, q) => [(p[0] + q[0]) / 2 - box.left, (p[1] + q[1]) / 2 - box.top];
    const factor = Math.hypot(a[0] - b[0], a[1] - b[1]) / Math.hypot(c[0] - d[0], c[1] - d[1]);
    if (!(factor > 0.2 && factor < 5)) return;
    const [x, y] = V.toPlane(view, width, height, ...middle(a, b)), [px, py] = middle(c, d), r = view.r * factor, s = width / (2 * r);
    look({ x: x - (px - width / 2) / s, y: y + (py - height / 2) / s, r });
  }

  const lift = (event) => {
    if (fingers.size === 1 && moved < 5 && event.type === "pointerup") { state.pointer = plane(event); hover = null; later(); }
    fingers.delete(event.pointerId);
  };
  for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, lift);
  canvas.addEventListener("pointerleave", () => { if (hover) { hover = null; later(); } });

  const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
  canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const arrow = ARROWS[event.key];
    if (arrow && event.shiftKey) look({ ...view, x: view.x + arrow[0] * view.r / 10, y: view.y + arrow[1] * view.r / 10 });
    else if (arrow) walk(...arrow);
    else if (event.key === "+" || event.key === "=") zoom(1 / 1.25);
    else if (event.key === "-" || event.key === "_") zoom(1.25);
    else if (event.key === "0" || event.key === "Home") fit();
    else return;
    event.preventDefault();
  });

  /** Move the pointer by a hundredth of the view, and the view after it. */
  function walk(u, v) {
    const s = view.r / 50;
    state.pointer = [state.pointer[0] + u * s, state.pointer[1] + v * s];
    hover = null;
    const [px, py] = V.toPixel(view, width, height, ...state.pointer);
    if (px < 0 || py < 0 || px > width || py > height) look({ ...view, x: view.x + u * view.r / 2, y: view.y + v * view.r / 2 });
    later();
  }

  build();
  controls();
  new ResizeObserver(() => { stale = true; later(); }).observe(canvas);
  const repaint = () => { stale = true; later(); };
  new MutationObserver(repaint).observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
  window.numdiffStabilityPage = {
    get state() { return state; },
    get view() { return view; },
    set,
    redraw() { stale = true; redraw(); },
    toPixel: (x, y) => V.toPixel(view, width, height, x, y),
  };
})();
