/* Drawing for the stability explorer: regions, loci, axes and the inset of roots on canvases. Knows no controls. */
"use strict";

var numdiffStabilityView = (function () {
  const A = numdiffAlgebra;
  const BLOCK = 8; // pixels between the points that are always tested; blocks on a boundary are tested pixel by pixel

  /** A view: centre (x, y) and half width r of the plane, on w times h pixels with equal scales. */
  function scale(view, w) { return w / (2 * view.r); }
  function toPixel(view, w, h, x, y) { const s = scale(view, w); return [w / 2 + (x - view.x) * s, h / 2 - (y - view.y) * s]; }
  function toPlane(view, w, h, px, py) { const s = scale(view, w); return [view.x + (px - w / 2) / s, view.y - (py - h / 2) / s]; }

  /** Return the branches of the locus as polylines of [x, y, theta], refined where the view is close to them. */
  function lines(model, view, w, h) {
    const { theta, points } = model.upper, s = scale(view, w), found = [];
    const reach = Math.hypot(w, h) / s;
    for (let b = 0; b < model.pi.d; b++) {
      const line = [];
      for (let k = 0; k < theta.length; k++) {
        const [x, y] = points[k][b];
        if (k) refine(model.pi, line, [x, y, theta[k]], view, s, reach, 0);
        line.push([x, y, theta[k]]);
      }
      found.push(line, line.map(([x, y, t]) => [x, -y, -t]));
    }
    return found;
  }

  function refine(pi, line, end, view, s, reach, depth) {
    const start = line[line.length - 1], length = Math.hypot(end[0] - start[0], end[1] - start[1]);
    const away = Math.min(Math.hypot(start[0] - view.x, start[1] - view.y), Math.hypot(end[0] - view.x, Math.abs(end[1]) - Math.abs(view.y)));
    if (depth > 7 || !(length * s > 5) || !(away < reach + length) || length > 4 * reach) return;
    const t = (start[2] + end[2]) / 2;
    const middle = nearest(A.roots(onCircle(pi, t)), (start[0] + end[0]) / 2, (start[1] + end[1]) / 2);
    if (!middle) return;
    refine(pi, line, [...middle, t], view, s, reach, depth + 1);
    line.push([...middle, t]);
    refine(pi, line, end, view, s, reach, depth + 1);
  }

  function nearest(roots, x, y) {
    let best = null, distance = Infinity;
    for (const z of roots) {
      const d = Math.hypot(z[0] - x, z[1] - y);
      if (d < distance) { distance = d; best = z; }
    }
    return best;
  }

  function onCircle(pi, t) {
    const { n, d, c } = pi, p = A.zeros(d + 1), x = Math.cos(t), y = Math.sin(t);
    for (let j = 0; j <= d; j++) {
      let a = 0, b = 0;
      for (let i = n; i >= 0; i--) [a, b] = [a * x - b * y + c[i * (d + 1) + j], a * y + b * x];
      p.re[j] = a;
      p.im[j] = b;
    }
    return p;
  }

  /** Call visit(i, j) for the blocks that a polyline passes. */
  function alongBlocks(line, view, w, h, visit) {
    for (let k = 1; k < line.length; k++) {
      const [a, b] = toPixel(view, w, h, line[k - 1][0], line[k - 1][1]), [c, d] = toPixel(view, w, h, line[k][0], line[k][1]);
      if (!(isFinite(a + b + c + d)) || Math.max(a, c) < -9 || Math.min(a, c) > w + 9 || Math.max(b, d) < -9 || Math.min(b, d) > h + 9) continue;
      const steps = Math.min(Math.ceil(Math.hypot(c - a, d - b) / 3) || 1, 2000);
      for (let m = 0; m <= steps; m++) visit(a + (c - a) * m / steps, b + (d - b) * m / steps);
    }
  }

  /** Return the region as one byte per pixel. */
  function mask(model, view, w, h, curves) {
    const columns = Math.ceil(w / BLOCK), rows = Math.ceil(h / BLOCK), inside = model.stable, found = new Uint8Array(w * h);
    const test = (px, py) => { const [x, y] = toPlane(view, w, h, px, py); return inside(x, y) ? 1 : 0; };
    const corner = new Uint8Array((columns + 1) * (rows + 1)), busy = new Uint8Array(columns * rows);
    for (let j = 0; j <= rows; j++) for (let i = 0; i <= columns; i++) corner[j * (columns + 1) + i] = test(i * BLOCK + 0.37, j * BLOCK + 0.41);
    const mark = (px, py) => {
      for (const u of [px - 1.5, px + 1.5]) for (const v of [py - 1.5, py + 1.5]) {
        const i = Math.floor(u / BLOCK), j = Math.floor(v / BLOCK);
        if (i >= 0 && j >= 0 && i < columns && j < rows) busy[j * columns + i] = 1;
      }
    };
    for (const line of curves) alongBlocks(line, view, w, h, mark);
    for (let j = 0; j < rows; j++) for (let i = 0; i < columns; i++) {
      const k = j * (columns + 1) + i, same = corner[k] + corner[k + 1] + corner[k + columns + 1] + corner[k + columns + 2];
      const each = busy[j * columns + i] || (same !== 0 && same !== 4);
      if (!each && same === 0) continue;
      for (let py = j * BLOCK; py < Math.min(h, (j + 1) * BLOCK); py++) for (let px = i * BLOCK; px < Math.min(w, (i + 1) * BLOCK); px++) {
        found[py * w + px] = each ? test(px + 0.5, py + 0.5) : 1;
      }
    }
    return found;
  }

  /** Cut a polyline into the runs that bound the region, where the test differs on both sides, and the others. */
  function borders(line, model, distance) {
    const runs = [];
    let last = null;
    for (let k = 1; k < line.length; k++) {
      const [a, b] = line[k - 1], [c, d] = line[k], length = Math.hypot(c - a, d - b);
      if (!(length > 0)) continue;
      const u = -(d - b) / length * distance, v = (c - a) / length * distance, x = (a + c) / 2, y = (b + d) / 2;
      const border = model.stable(x + u, y + v) !== model.stable(x - u, y - v);
      if (!last || last.border !== border) runs.push(last = { border, points: [line[k - 1]] });
      last.points.push(line[k]);
    }
    return runs;
  }

  function stroke(context, points, view, w, h) {
    context.beginPath();
    let pen = false;
    for (const [x, y] of points) {
      const [px, py] = toPixel(view, w, h, x, y);
      if (!isFinite(px + py) || Math.abs(px) > 1e5 || Math.abs(py) > 1e5) { pen = false; continue; }
      if (pen) context.lineTo(px, py); else context.moveTo(px, py);
      pen = true;
    }
    context.stroke();
  }

  /** A step of 1, 2 or 5 times a power of ten, about `wanted`. */
  function niceStep(wanted) {
    const power = Math.pow(10, Math.floor(Math.log10(wanted)));
    return [1, 2, 5, 10].map((m) => m * power).find((s) => s >= wanted);
  }

  function axes(context, view, w, h, colours) {
    const step = niceStep(Math.min(70, w / 7) / scale(view, w)), digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
    const [low, top] = toPlane(view, w, h, 0, 0), [high, bottom] = toPlane(view, w, h, w, h);
    const [ox, oy] = toPixel(view, w, h, 0, 0);
    context.lineWidth = 1;
    context.strokeStyle = colours.grid;
    const column = (v) => Math.round(toPixel(view, w, h, v, 0)[0]) + 0.5, row = (v) => Math.round(toPixel(view, w, h, 0, v)[1]) + 0.5;
    const many = (from, to) => { const list = []; for (let k = Math.ceil(from / step); k <= to / step; k++) list.push(k * step); return list; };
    context.beginPath();
    for (const v of many(low, high)) { context.moveTo(column(v), 0); context.lineTo(column(v), h); }
    for (const v of many(bottom, top)) { context.moveTo(0, row(v)); context.lineTo(w, row(v)); }
    context.stroke();
    context.strokeStyle = colours.axis;
    context.beginPath();
    context.moveTo(0, Math.round(oy) + 0.5); context.lineTo(w, Math.round(oy) + 0.5);
    context.moveTo(Math.round(ox) + 0.5, 0); context.lineTo(Math.round(ox) + 0.5, h);
    context.stroke();
    return () => labels(context, view, w, h, colours, { step, digits, ox, oy, columns: many(low, high), rows: many(bottom, top) });
  }

  function labels(context, view, w, h, colours, grid) {
    context.font = "12px system-ui, sans-serif";
    context.lineWidth = 3;
    context.lineJoin = "round";
    const write = (text, x, y) => {
      context.strokeStyle = colours.background;
      context.strokeText(text, x, y);
      context.fillStyle = colours.text;
      context.fillText(text, x, y);
    };
    const shown = (v) => v.toFixed(grid.digits).replace("-", "\u2212");
    const below = Math.min(Math.max(grid.oy + 5, 5), h - 19), left = Math.min(Math.max(grid.ox - 6, 44), w - 6);
    context.textBaseline = "top";
    context.textAlign = "center";
    for (const v of grid.columns) {
      const x = toPixel(view, w, h, v, 0)[0];
      if (Math.abs(v) > grid.step / 2 && x > 16 && x < w - 40) write(shown(v), x, below);
    }
    context.textBaseline = "middle";
    context.textAlign = "right";
    for (const v of grid.rows) {
      const y = toPixel(view, w, h, 0, v)[1];
      if (Math.abs(v) > grid.step / 2 && y > 26 && y < h - 12) write(shown(v), left, y);
    }
    context.font = "italic 13px system-ui, sans-serif";
    context.textBaseline = "bottom";
    write("Re z", w < 480 ? w - 58 : w - 8, Math.min(Math.max(grid.oy - 5, 20), h - 4));
    context.textAlign = "left";
    context.textBaseline = "top";
    write("Im z", Math.min(Math.max(grid.ox + 7, 4), w - 40), 6);
  }

  /** Draw the bar of an interval on its axis. */
  function bars(context, model, view, w, h, colours) {
    const ends = [model.interval("real"), model.interval("imaginary")].map((e) => (e === Infinity ? 1e4 * view.r : e));
    context.strokeStyle = colours.first;
    context.lineCap = "butt";
    const [ox, oy] = toPixel(view, w, h, 0, 0), s = scale(view, w), clip = (v) => Math.min(Math.max(v, -1e4), 1e4);
    const bar = (a, b, c, d) => { context.beginPath(); context.moveTo(a, b); context.lineTo(c, d); context.stroke(); };
    context.lineWidth = 4;
    if (ends[0] > 0) { const x = clip(ox - ends[0] * s); bar(x, oy, ox, oy); context.lineWidth = 2; bar(x, oy - 8, x, oy + 8); }
    context.lineWidth = 4;
    if (ends[1] > 0) {
      const y = clip(ends[1] * s);
      bar(ox, oy - y, ox, oy + y);
      context.lineWidth = 2;
      for (const v of [oy - y, oy + y]) bar(ox - 8, v, ox + 8, v);
    }
  }

  /** Fill the region of `model`. */
  function fill(context, pixels, w, h, colour) {
    const [r, g, b, a] = colour, image = new ImageData(w, h), words = new Uint32Array(image.data.buffer);
    const word = (a << 24 | b << 16 | g << 8 | r) >>> 0;
    for (let k = 0; k < words.length; k++) if (pixels[k]) words[k] = word;
    const sheet = document.createElement("canvas");
    sheet.width = w;
    sheet.height = h;
    sheet.getContext("2d").putImageData(image, 0, 0);
    context.drawImage(sheet, 0, 0, w, h);
  }

  /** Draw everything but the pointer: regions and outlines of both models, bars of the first. */
  function picture(context, models, view, w, h, colours) {
    context.clearRect(0, 0, w, h);
    const [first, second] = models, curves = lines(first, view, w, h), step = 1.2 / scale(view, w);
    const others = second ? lines(second, view, w, h) : [];
    fill(context, mask(first, view, w, h, curves), w, h, colours.fill);
    if (second) fill(context, mask(second, view, w, h, others), w, h, colours.other);
    const write = axes(context, view, w, h, colours);
    outline(context, first, curves, step, view, w, h, { colour: colours.first, dash: [], width: 2 });
    if (second) outline(context, second, others, step, view, w, h, { colour: colours.second, dash: [7, 4], width: 2.5 });
    bars(context, first, view, w, h, colours);
    write();
  }

  function outline(context, model, curves, step, view, w, h, style) {
    context.strokeStyle = style.colour;
    context.lineCap = "round";
    for (const line of curves) for (const run of borders(line, model, step)) {
      context.lineWidth = run.border ? style.width : 1;
      context.globalAlpha = run.border ? 1 : 0.5;
      context.setLineDash(run.border ? style.dash : [2, 3]);
      stroke(context, run.points, view, w, h);
    }
    context.globalAlpha = 1;
    context.setLineDash([]);
  }

  /** Return the view that shows the region of the models, or a plain one where there is none. */
  function fitted(models, w, h) {
    let box = [-0.4, -0.4, 0.4, 0.4];
    for (const model of models) {
      const real = Math.min(model.interval("real") || 1, 50), step = 2e-3 * Math.max(0.1, real);
      for (const line of lines(model, { x: 0, y: 0, r: 100 }, 100, 100)) for (const run of borders(line, model, step)) {
        if (!run.border) continue;
        for (const [x, y] of run.points) if (Math.hypot(x, y) < 100) box = [Math.min(box[0], x), Math.min(box[1], y), Math.max(box[2], x), Math.max(box[3], y)];
      }
    }
    const r = 0.58 * Math.max(box[2] - box[0], (box[3] - box[1]) * w / h);
    return { x: rounded((box[0] + box[2]) / 2, r), y: 0, r: rounded(r, r) };
  }

  function rounded(v, size) { const unit = Math.pow(10, Math.floor(Math.log10(size)) - 2); return Number((Math.round(v / unit) * unit).toPrecision(6)); }

  /** Draw the pointer. */
  function cross(context, px, py, colours, stable) {
    for (const [colour, width] of [[colours.background, 5], [stable ? colours.text : colours.bad, 2]]) {
      context.strokeStyle = colour;
      context.lineWidth = width;
      context.beginPath();
      context.arc(px, py, 7, 0, 2 * Math.PI);
      for (const [u, v] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) { context.moveTo(px + 7 * u, py + 7 * v); context.lineTo(px + 13 * u, py + 13 * v); }
      context.stroke();
    }
  }

  /** Draw the roots and the unit circle; roots far outside shrink the circle. */
  function inset(context, sets, size, colours) {
    const largest = Math.max(1, ...sets.flat().map(([x, y]) => Math.hypot(x, y))), r = size / 2 - 10;
    const unit = r / Math.min(Math.max(1.25, largest * 1.1), 4);
    context.clearRect(0, 0, size, size);
    context.lineWidth = 1;
    context.strokeStyle = colours.grid;
    context.beginPath();
    context.moveTo(4, size / 2); context.lineTo(size - 4, size / 2);
    context.moveTo(size / 2, 4); context.lineTo(size / 2, size - 4);
    context.stroke();
    context.strokeStyle = colours.text;
    context.lineWidth = 1.5;
    context.beginPath();
    context.arc(size / 2, size / 2, unit, 0, 2 * Math.PI);
    context.stroke();
    sets.forEach((roots, k) => {
      for (const [x, y] of roots) {
        const modulus = Math.hypot(x, y), shown = Math.min(modulus, r / unit) / (modulus || 1);
        const px = size / 2 + x * shown * unit, py = size / 2 - y * shown * unit;
        context.beginPath();
        if (k) context.rect(px - 4, py - 4, 8, 8); else context.arc(px, py, 4.5, 0, 2 * Math.PI);
        context.fillStyle = context.strokeStyle = modulus > 1 + 1e-9 && !k ? colours.bad : k ? colours.second : colours.first;
        context.lineWidth = 2;
        if (k) context.stroke(); else context.fill();
      }
    });
  }

  return { picture, fitted, cross, inset, toPixel, toPlane, scale, mask, lines };
})();
