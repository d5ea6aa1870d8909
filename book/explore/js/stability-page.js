/* The page of the stability explorer: puts state, controls, canvases and events together. */
"use strict";

(function () {
  const S = numdiffStability, V = numdiffStabilityView, C = numdiffStabilityControls, T = numdiffStabilityState;
  const { element, field } = C;
  const root = document.getElementById("explorer-stability");
  if (!root) return;

  let { state, unknown } = T.fromHash(location.hash), hover = null, base = null, view = null, width = 0, height = 0;
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
  const step = C.slider("stability-h", "Step h in log-SNR", "h", (value) => change({ h: value }));
  const facts = element("dl", { class: "explorer-facts" });
  const verdicts = ["first", "second"].map((which, k) => element("p", { id: k ? "stability-verdict-2" : "stability-verdict", class: "explorer-verdict", "data-which": which }));
  const where = element("p", { class: "explorer-where" });
  const lost = element("p", { id: "stability-lost", class: "explorer-wrong explorer-lost", role: "status" });
  const legend = ["first", "second"].map((which) => element("span", { class: "explorer-key", "data-which": which }));
  const rootList = element("p", { class: "explorer-roots-text" });
  const summary = element("p", { id: "stability-summary", class: "explorer-hidden", "aria-live": "polite" });
  const copied = element("span", { class: "explorer-copied", role: "status" });
  const share = button("stability-copy", "Copy link", "Copy a link to this picture", copy);

  function build() {
    const plot = element("div", { class: "explorer-plot" }, canvas, element("div", { class: "explorer-legend", "aria-hidden": "true" }, ...legend),
      element("div", { class: "explorer-zoom" }, button("stability-in", "+", "Zoom in", () => zoom(1 / 1.5)),
        button("stability-out", "\u2212", "Zoom out", () => zoom(1.5)), button("stability-fit", "Fit", "Show the whole region", fit)));
    const reading = element("div", { class: "explorer-reading" }, rootsCanvas,
      element("div", { class: "explorer-words" }, where, ...verdicts, rootList));
    const check = element("div", { class: "explorer-check" }, compare, element("label", { for: compare.id }, "Compare with a second method"));
    const panel = element("div", { class: "explorer-panel" }, first.element, step, check, second.element,
      element("div", { class: "explorer-share" }, share, copied));
    root.replaceChildren(lost, element("div", { class: "explorer-main" }, plot, reading, facts), panel, summary,
      element("p", { id: "stability-keys", class: "explorer-keys" }, keys));
    compare.addEventListener("change", () => { state.view = view = null; change({ compare: compare.checked }); });
  }

  // --- state ---

  function choose(which, chosen) {
    const before = state[which];
    const same = ["family", "order", "formulation", "variant"].every((key) => before[key] === chosen[key]);
    if (!same) state.view = view = null;
    change({ [which]: chosen });
  }

  /** Change the state and show it; with a slider the view stays, so that one sees the region move. */
  function set(changes) {
    state = { ...state, ...changes };
    controls();
    stale = true;
    later();
  }

  /** The same for a change that somebody made here, which the address is to tell. */
  function change(changes) {
    set(changes);
    remember();
  }

  function complain() {
    lost.hidden = !unknown.length;
    lost.textContent = unknown.length ? `Not understood in the link, and left at the default: ${unknown.join(", ")}` : "";
  }

  function controls() {
    first.show(state.first);
    second.show(state.second);
    second.element.hidden = !state.compare;
    compare.checked = state.compare;
    const needs = chosen().some((m) => S.find(m).needs.h);
    step.hidden = !needs;
    if (needs) step.show(state.h);
    legend.forEach((place, k) => {
      const m = chosen()[k];
      place.hidden = chosen().length < 2;
      place.textContent = m ? C.named(S.find(m), m.beta) : "";
    });
  }

  const chosen = () => (state.compare ? [state.first, state.second] : [state.first]);
  const models = () => chosen().map((m) => S.model(m, { beta: m.beta, h: state.h }));

  /** Put the state into the address, unless that names a heading of the page. */
  function remember() {
    clearTimeout(written);
    written = setTimeout(() => {
      const text = `#${T.toHash(state)}`;
      if (location.hash === text || (location.hash && !T.ours(location.hash))) return;
      history.replaceState(null, "", text);
    }, 200);
  }

  window.addEventListener("hashchange", () => {
    if (!T.ours(location.hash)) return;
    clearTimeout(written);
    ({ state, unknown } = T.fromHash(location.hash));
    view = null;
    complain();
    set({});
    const box = canvas.getBoundingClientRect();
    if (box.bottom < 100 || box.top > window.innerHeight - 100) root.scrollIntoView();
  });

  function copy() {
    const text = `${location.href.replace(/#.*/, "")}#${T.toHash(state)}`;
    const done = (words) => { copied.textContent = words; setTimeout(() => { copied.textContent = ""; }, 4000); };
    const byHand = () => {
      const area = element("textarea", { "aria-label": "Link" });
      area.value = text;
      document.body.append(area);
      area.select();
      const worked = document.execCommand("copy"); // pages from file:// have no clipboard of their own
      area.remove();
      if (!worked) history.replaceState(null, "", text);
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
      fill: get("fill").split(/\s+/).map(Number), other: get("other").split(/\s+/).map(Number),
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
  }

  function point(all, context, at, tints) {
    const [x, y] = hover || state.pointer, found = all.map((m) => m.roots(x, y)), stable = all.map((m) => m.stable(x, y));
    V.cross(context, ...at, tints, stable[0]);
    const size = Math.round(rootsCanvas.clientWidth) || 150;
    V.inset(sized(rootsCanvas, size, size), found, size, tints);
    const radius = found.map((roots) => Math.max(...roots.map((z) => Math.hypot(...z))));
    where.textContent = `z = ${complex([x, y])}`;
    verdicts.forEach((line, k) => {
      line.hidden = k >= all.length;
      if (line.hidden) return;
      const who = all.length > 1 ? `${legend[k].textContent}: ` : "";
      line.textContent = `${who}spectral radius ${number(radius[k])}, ${stable[k] ? "stable" : "unstable"}`;
      line.dataset.stable = String(stable[k]);
    });
    const listed = (roots) => roots.slice().sort((a, b) => Math.hypot(...b) - Math.hypot(...a)).map(complex).join(", ");
    rootList.textContent = `Roots ζ: ${found.map(listed).join("; of the second: ")}`;
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
        const value = element("dd", { "data-axis": axis, "data-which": String(k) }, element("span", {}, minus(text)));
        if (form) value.append(formula(k, `${axis === "real" ? "x" : "y"}^* = ${form}`, `${name} in closed form, here ${minus(text)}`));
        rows.push(element("dt", {}, all.length > 1 ? `${name}, ${legend[k].textContent}` : name), value);
      });
    }
    facts.replaceChildren(...rows);
  }

  const typeset = new Map();

  /** Return an element with a formula, set by the page's MathJax once that is ready; kept for each of the two methods. */
  function formula(which, latex, label) {
    const key = `${which} ${latex}`;
    if (!typeset.has(key)) {
      const made = element("span", { class: "explorer-formula", role: "group" });
      typeset.set(key, made);
      const ready = () => (window.MathJax && MathJax.startup && MathJax.startup.promise ? MathJax.startup.promise : null);
      const put = () => ready().then(() => MathJax.tex2svgPromise(latex, { display: false })).then((svg) => made.replaceChildren(svg));
      if (ready()) put(); else window.addEventListener("load", () => { if (ready()) put(); else made.textContent = latex; });
    }
    typeset.get(key).setAttribute("aria-label", label);
    return typeset.get(key);
  }

  /** Say what the picture shows to those who do not see it, once things have come to rest. */
  function say() {
    clearTimeout(spoken);
    spoken = setTimeout(() => {
      const intervals = [...facts.children].map((e) => e.firstElementChild ? `${e.firstElementChild.textContent}.` : `${e.textContent}:`).join(" ");
      const names = chosen().map((m) => C.named(S.find(m), m.beta)).join(" compared with ");
      const words = verdicts.filter((line) => !line.hidden).map((line) => line.textContent).join("; ");
      summary.textContent = `${names}. ${intervals} At ${where.textContent}: ${words}.`;
    }, 500);
  }

  // --- moving about ---

  const plane = (event) => {
    const box = canvas.getBoundingClientRect();
    return V.toPlane(view, width, height, event.clientX - box.left, event.clientY - box.top);
  };

  function look(next) {
    view = { x: T.bound(next.x), y: T.bound(next.y), r: T.boundRadius(next.r) };
    change({ view: { ...view } });
  }

  /** Zoom by a factor about a point of the plane, by default the pointer if it is in sight. */
  function zoom(factor, about) {
    const [px, py] = V.toPixel(view, width, height, ...state.pointer), seen = px > 0 && py > 0 && px < width && py < height;
    const [x, y] = about || (seen ? state.pointer : [view.x, view.y]);
    const r = T.boundRadius(view.r * factor), done = r / view.r; // at the limits nothing moves
    look({ x: x + (view.x - x) * done, y: y + (view.y - y) * done, r });
  }

  function fit() { view = null; change({ view: null }); }

  function pointTo(x, y) {
    hover = null;
    change({ pointer: [T.bound(x), T.bound(y)] });
  }

  canvas.addEventListener("wheel", (event) => {
    if (document.activeElement !== canvas && !event.ctrlKey) return; // a page that is scrolled past stays as it is
    event.preventDefault();
    zoom(Math.exp(Math.max(-60, Math.min(60, event.deltaY)) * 0.004), plane(event));
  }, { passive: false });

  const fingers = new Map();
  let moved = 0;
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button) return; // the other buttons are the browser's
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
    const [x, y] = V.toPlane(view, width, height, ...middle(a, b)), [px, py] = middle(c, d), r = T.boundRadius(view.r * factor), s = width / (2 * r);
    look({ x: x - (px - width / 2) / s, y: y + (py - height / 2) / s, r });
  }

  const lift = (event) => {
    if (fingers.size === 1 && moved < 5 && event.type === "pointerup") pointTo(...plane(event));
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
    pointTo(state.pointer[0] + u * s, state.pointer[1] + v * s);
    const [px, py] = V.toPixel(view, width, height, ...state.pointer);
    if (px < 0 || py < 0 || px > width || py > height) look({ ...view, x: view.x + u * view.r / 2, y: view.y + v * view.r / 2 });
  }

  build();
  complain();
  controls();
  new ResizeObserver(() => { if (!state.view) view = null; stale = true; later(); }).observe(canvas);
  const repaint = () => { stale = true; later(); };
  new MutationObserver(repaint).observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
  window.numdiffStabilityPage = {
    get state() { return state; },
    get view() { return view; },
    get unknown() { return unknown; },
    set,
    redraw() { stale = true; redraw(); },
    toPixel: (x, y) => V.toPixel(view, width, height, x, y),
  };
})();
