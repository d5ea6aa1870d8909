/* Drawing for the sampler playground: the two planes (canvas) and the chart of errors (SVG). */
"use strict";

numdiffPlayground.view = (function () {
  const HALF = 3; // the plane shows [-HALF, HALF] in both directions
  const CELLS = 120;

  /** Colours of the current mode, read from the stylesheet. */
  function colours(root) {
    const style = getComputedStyle(root);
    const read = (name) => style.getPropertyValue(name).trim();
    return {
      a: read("--playground-a"), b: read("--playground-b"), text: read("--playground-text"),
      faintest: Number(read("--playground-faintest")), density: read("--playground-density").split(",").map(Number),
    };
  }

  /** The target's density as an image; its root is shown, so that flat components stay visible beside narrow ones. */
  function density(mix, level, rgb) {
    const image = document.createElement("canvas");
    image.width = image.height = CELLS;
    const context = image.getContext("2d");
    const pixels = context.createImageData(CELLS, CELLS);
    const values = new Float64Array(CELLS * CELLS);
    for (let row = 0; row < CELLS; row++) {
      for (let column = 0; column < CELLS; column++) {
        const x = (((column + 0.5) / CELLS) * 2 - 1) * HALF;
        const y = (1 - ((row + 0.5) / CELLS) * 2) * HALF;
        const log = numdiffPlayground.logDensity(mix, x, y, level[0], Math.max(level[1], 0.05));
        values[row * CELLS + column] = Math.exp(log / 2);
      }
    }
    const most = values.reduce((a, b) => Math.max(a, b), 1e-300);
    values.forEach((value, i) => pixels.data.set([...rgb, Math.round((150 * value) / most)], 4 * i));
    context.putImageData(pixels, 0, 0);
    return image;
  }

  function fit(canvas) {
    const ratio = window.devicePixelRatio || 1;
    const width = Math.round(canvas.clientWidth * ratio);
    if (canvas.width !== width) canvas.width = canvas.height = width;
    const context = canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, canvas.clientWidth, canvas.clientWidth);
    return context;
  }

  /** Sample at a place of the run between 0 and 1; between two nodes on the straight line that joins them. */
  function sampleAt(path, place) {
    const position = place * (path.length - 1);
    const n = Math.min(Math.floor(position), path.length - 2);
    const part = position - n;
    return { n, x: part === 0 ? path[n] : path[n].map((value, i) => value + part * (path[n + 1][i] - value)) };
  }

  function strokePaths(context, path, now, toPixel) {
    context.beginPath();
    for (let i = 0; i < now.x.length; i += 2) {
      context.moveTo(...toPixel(path[0][i], path[0][i + 1]));
      for (let k = 1; k <= now.n; k++) context.lineTo(...toPixel(path[k][i], path[k][i + 1]));
      context.lineTo(...toPixel(now.x[i], now.x[i + 1]));
    }
    context.stroke();
  }

  function strokeErrors(context, x, exact, toPixel) {
    context.beginPath();
    for (let i = 0; i < x.length; i += 2) {
      context.moveTo(...toPixel(x[i], x[i + 1]));
      context.lineTo(...toPixel(exact[i], exact[i + 1]));
    }
    context.stroke();
  }

  function dots(context, x, radius, toPixel) {
    context.beginPath();
    for (let i = 0; i < x.length; i += 2) {
      const [px, py] = toPixel(x[i], x[i + 1]);
      context.moveTo(px + radius, py);
      context.arc(px, py, radius, 0, 2 * Math.PI);
    }
  }

  /** Draw one plane: density, trajectories, particles, and at the end of the run the way to the exact end points. */
  function plane(canvas, scene) {
    const context = fit(canvas);
    const size = canvas.clientWidth;
    const bound = (v) => Math.max(-1e4, Math.min(1e4, v)); // a run that diverged leaves the picture, not the canvas
    const toPixel = (x, y) => [bound(((x / HALF + 1) * size) / 2), bound(((1 - y / HALF) * size) / 2)];
    context.imageSmoothingEnabled = true;
    context.drawImage(scene.density, 0, 0, size, size);
    if (!scene.path) return;
    const now = sampleAt(scene.path, scene.place);
    context.strokeStyle = context.fillStyle = scene.colour;
    if (scene.trajectories) {
      context.lineWidth = 0.7;
      context.globalAlpha = Math.max(scene.faintest, Math.min(0.45, 30 / (now.x.length / 2)));
      strokePaths(context, scene.path, now, toPixel);
    }
    context.globalAlpha = 1;
    if (scene.place === 1) {
      context.strokeStyle = scene.text;
      context.lineWidth = 1.2;
      if (scene.joined) strokeErrors(context, now.x, scene.exact, toPixel);
      context.fillStyle = scene.text;
      dots(context, scene.exact, 1.3, toPixel);
      context.fill();
    }
    context.fillStyle = scene.colour;
    dots(context, now.x, 2.4, toPixel);
    context.fill();
  }

  // --- the chart ----------------------------------------------------------------------------------------------------

  const EDGE = { left: 62, right: 16, top: 14, bottom: 46 };

  /** Size of the chart in pixels: it is drawn at its true size, so that its letters are as large on a phone. */
  function sizeOf(svg) {
    const width = Math.max(240, svg.clientWidth);
    return { width, height: Math.round(Math.max(230, Math.min(340, 0.5 * width))) };
  }

  function decades(low, high) {
    const out = [];
    for (let k = Math.floor(low); k <= Math.ceil(high); k++) out.push(k);
    return out;
  }

  function shape(name, attributes, text) {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    Object.entries(attributes).forEach(([key, value]) => element.setAttribute(key, value));
    if (text !== undefined) element.textContent = text;
    return element;
  }

  function power(k) {
    const element = shape("tspan", {}, "10");
    const raised = shape("tspan", { dy: -6, "font-size": 11 }, String(k).replace("-", "\u2212"));
    return [element, raised];
  }

  /** Where errors and evaluations go on the chart; `series` is a list of {points: [[evaluations, error], ...]}. */
  function scales(series, { width, height }) {
    const points = series.flatMap((one) => one.points).filter(([, e]) => e > 0 && Number.isFinite(e));
    const errors = points.map(([, e]) => Math.min(Math.max(e, 1e-12), 1e3));
    const ticks = decades(Math.log10(Math.min(...errors, 0.1)), Math.log10(Math.max(...errors, 1)));
    const counts = points.map(([n]) => n);
    const [first, last] = [Math.log(Math.min(...counts, 3)), Math.log(Math.max(...counts, 50))];
    const x = (n) => EDGE.left + ((Math.log(n) - first) / (last - first)) * (width - EDGE.left - EDGE.right);
    const range = ticks[ticks.length - 1] - ticks[0];
    const y = (e) => height - EDGE.bottom - ((Math.log10(e) - ticks[0]) / range) * (height - EDGE.top - EDGE.bottom);
    return { x, y, ticks, counts: [3, 5, 10, 20, 50, 100].filter((n) => Math.log(n) <= last) };
  }

  function axes(svg, { x, y, ticks, counts }, { width, height }) {
    const every = Math.ceil(ticks.length / 8);
    ticks.forEach((k, i) => {
      const at = y(10 ** k);
      svg.append(shape("line", { class: "grid", x1: EDGE.left, x2: width - EDGE.right, y1: at, y2: at }));
      if (i % every) return;
      const label = shape("text", { x: EDGE.left - 8, y: at + 5, "text-anchor": "end" });
      label.append(...power(k));
      svg.append(label);
    });
    counts.forEach((n) => {
      svg.append(shape("line", { class: "grid", x1: x(n), x2: x(n), y1: EDGE.top, y2: height - EDGE.bottom }));
      svg.append(shape("text", { x: x(n), y: height - EDGE.bottom + 20, "text-anchor": "middle" }, n));
    });
    const middle = (EDGE.left + width - EDGE.right) / 2;
    svg.append(shape("text", { x: middle, y: height - 6, "text-anchor": "middle" }, "evaluations"));
    const turned = { transform: `translate(14 ${(height - EDGE.bottom) / 2}) rotate(-90)`, "text-anchor": "middle" };
    svg.append(shape("text", turned, "RMS error"));
  }

  function marker(letter, x, y, chosen) {
    const r = chosen ? 6 : 3.5;
    if (letter === "a") return shape("circle", { class: "mark a", cx: x, cy: y, r });
    return shape("rect", { class: "mark b", x: x - r, y: y - r, width: 2 * r, height: 2 * r });
  }

  /** Redraw the chart; a series is {letter, points: [[evaluations, error], ...], chosen: evaluations now}. */
  function chart(svg, series) {
    svg.replaceChildren();
    const size = sizeOf(svg);
    svg.setAttribute("viewBox", `0 0 ${size.width} ${size.height}`);
    svg.setAttribute("height", size.height);
    const scale = scales(series, size);
    axes(svg, scale, size);
    series.forEach(({ letter, points, chosen }) => {
      const low = 10 ** scale.ticks[0];
      const high = 10 ** scale.ticks[scale.ticks.length - 1];
      const shown = points.filter(([, e]) => e >= low && e <= high);
      const line = shown.map(([n, e]) => `${scale.x(n)},${scale.y(e)}`).join(" ");
      svg.append(shape("polyline", { class: `line ${letter}`, points: line }));
      shown.forEach(([n, e]) => svg.append(marker(letter, scale.x(n), scale.y(e), n === chosen)));
    });
  }

  return { HALF, colours, density, plane, chart, sampleAt };
})();
