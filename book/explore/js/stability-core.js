/* The mathematics of the stability explorer, without any page: window.numdiffStability.
 *
 * A method's stability polynomial is pi(zeta, z) = sum_ij c_ij zeta^i z^j. Its coefficients arrive as data (see
 * book/tools/explorer.py): fractions of polynomials in beta, h, e^{ah} and phi_k(ah), into which numbers are put here.
 * z belongs to the stability region when pi(., z) has no root outside the unit circle and only simple ones on it.
 */
"use strict";

var numdiffStability = (function () {
  const A = numdiffAlgebra, EPS = A.EPS;
  const SIMPLE = 1e-9; // uncertainty of a root up to which it counts as simple, as in numdiff.properties.stability
  const INSIDE = 0.9; // modulus below which a computed root lies in the disc, whatever its multiplicity
  let data = null;
  const cache = new Map();

  function register(document) {
    data = document;
    for (const family of data.families) for (const member of family.members) {
      const symbols = data.polynomials[member.polynomial].symbols;
      member.family = family.key;
      member.needs = { beta: symbols.includes("beta"), h: symbols.includes("h") };
    }
  }

  function family(key) {
    const found = data.families.find((one) => one.key === key);
    if (!found) throw new Error(`no method ${key}`);
    return found;
  }

  /** Return the member {family, order, formulation, variant} stands for; what is left out may be anything. */
  function find(method) {
    const fits = (m) => ["order", "formulation", "variant"].every((k) => method[k] === undefined || m[k] === method[k]);
    const found = family(method.family).members.find(fits);
    if (!found) throw new Error(`no member of ${method.family} fits ${JSON.stringify(method)}`);
    return found;
  }

  // --- coefficients ---

  function value(generator, parameters) {
    if (generator === "beta" || generator === "h") {
      const number = parameters[generator];
      if (!(number > 0)) throw new Error(`${generator} must be a positive number, got ${number}`);
      return number;
    }
    const [p, q] = generator[generator.length - 1], x = p * parameters.h / q;
    return generator[0] === "exp" ? Math.exp(x) : A.phi(generator[1], x);
  }

  function sum(monomials, values) {
    let total = 0;
    for (const [c, ...powers] of monomials) {
      let term = Number(c);
      for (let k = 0; k < powers.length; k++) for (let e = powers[k]; e > 0; e--) term *= values[k];
      total += term;
    }
    return total;
  }

  /** Return the coefficients {n, d, c}: c[i * (d + 1) + j] belongs to zeta^i z^j; monic of degree n in zeta. */
  function coefficients(method, parameters) {
    const source = data.polynomials[find(method).polynomial];
    const values = source.symbols.map((generator) => value(generator, parameters));
    const n = Math.max(...source.terms.map((t) => t[0])), d = Math.max(...source.terms.map((t) => t[1]));
    const c = new Float64Array((n + 1) * (d + 1));
    for (const [i, j, above, below] of source.terms) c[i * (d + 1) + j] = sum(above, values) / sum(below, values);
    return { n, d, c };
  }

  /** Return pi(., z) as a polynomial in zeta. */
  function at(pi, x, y, into) {
    const { n, d, c } = pi, p = into || A.zeros(n + 1);
    for (let i = 0, row = 0; i <= n; i++, row += d + 1) {
      let a = c[row + d], b = 0;
      for (let j = d - 1; j >= 0; j--) {
        const t = a * x - b * y + c[row + j];
        b = a * y + b * x;
        a = t;
      }
      p.re[i] = a;
      p.im[i] = b;
    }
    return p;
  }

  /** Return pi(zeta, .) at zeta = e^{i theta} as a polynomial in z. */
  function on(pi, theta) {
    const { n, d, c } = pi, p = A.zeros(d + 1), x = Math.cos(theta), y = Math.sin(theta);
    for (let j = 0; j <= d; j++) {
      let a = 0, b = 0;
      for (let i = n; i >= 0; i--) {
        const t = a * x - b * y + c[i * (d + 1) + j];
        b = a * y + b * x;
        a = t;
      }
      p.re[j] = a;
      p.im[j] = b;
    }
    return p;
  }

  // --- the root condition ---

  /** Return a function (x, y) -> whether z = x + iy belongs to the region: Schur and Cohn, by roots where too close. */
  function tester(pi) {
    const n = pi.n, p = A.zeros(n + 1), q = A.zeros(n + 1), whole = A.zeros(n + 1);
    return function (x, y) {
      let { re, im } = at(pi, x, y, p), other = q, error = 0;
      for (let k = 0; k <= n; k++) error += Math.abs(re[k]) + Math.abs(im[k]);
      error *= EPS;
      for (let m = n; m > 0; m--) {
        const a = re[0], b = im[0], c = re[m], d = im[m];
        const margin = 1 - (a * a + b * b) / (c * c + d * d);
        if (!(Math.abs(margin) > error)) return byRoots(at(pi, x, y, whole));
        if (margin < 0) return false;
        let largest = 0;
        const R = other.re, I = other.im;
        for (let k = 0; k < m; k++) { // (conj(p_m) p - p_0 p*)/zeta
          const u = re[k + 1], v = im[k + 1], s = re[m - 1 - k], t = im[m - 1 - k];
          R[k] = c * u + d * v - (a * s + b * t);
          I[k] = c * v - d * u - (b * s - a * t);
          largest = Math.max(largest, Math.abs(R[k]), Math.abs(I[k]));
        }
        const scale = 1 / (largest || 1);
        for (let k = 0; k < m; k++) { R[k] *= scale; I[k] *= scale; }
        error = 4 * error / margin;
        other = other === q ? p : q;
        re = R;
        im = I;
      }
      return true;
    };
  }

  /** Decide the root condition from the roots and their conditioning. */
  function byRoots(p) {
    const n = p.re.length - 1;
    return A.roots(p).every(([x, y]) => {
      const [, , da, db, size] = A.evaluate(p, x, y), slope = Math.hypot(da, db), modulus = Math.hypot(x, y);
      const error = 8 * (n + 1) * EPS * size / Math.max(slope, 1e-300);
      return modulus < Math.max(1 - error, INSIDE) || (error <= SIMPLE && modulus <= 1 + error);
    });
  }

  // --- the boundary locus ---

  /** Angles from 0 to pi, closer together at both ends, where roots near 1 and -1 (small and large beta) cross. */
  function angles(count) {
    const found = [0];
    for (let k = 1; k < count; k++) {
      const s = k / count, t = s * s * (3 - 2 * s);
      found.push(Math.PI * (0.5 * t + 0.5 * s));
    }
    const near = [];
    for (let e = 1e-4; e < found[1]; e *= 1.5) near.push(e);
    return [0, ...near, ...found.slice(1), ...near.map((e) => Math.PI - e).reverse(), Math.PI];
  }

  /** Return the branches z_b(theta), 0 <= theta <= pi: {theta, branches: [[re, im], ...] per angle}. */
  function upperLocus(pi, count) {
    const theta = angles(count), points = [];
    let last = null;
    for (const t of theta) {
      const found = A.roots(on(pi, t)).filter(([x, y]) => isFinite(x) && isFinite(y));
      while (found.length < pi.d) found.push([NaN, NaN]);
      last = last ? matched(last, found) : found;
      points.push(last);
    }
    return { theta, points };
  }

  /** Put the roots into the order in which they continue the branches. */
  function matched(before, found) {
    const left = found.slice();
    return before.map(([x, y]) => {
      let best = 0, distance = Infinity;
      for (let k = 0; k < left.length; k++) {
        const d = Math.hypot(left[k][0] - x, left[k][1] - y);
        if (d < distance) { distance = d; best = k; }
      }
      return left.splice(best, 1)[0];
    });
  }

  /** Return the z at which a root of modulus one has the angle theta. */
  function locus(method, parameters, theta) {
    return A.roots(on(coefficients(method, parameters), theta));
  }

  // --- intervals ---

  /** Solve pi(e^{i theta}, z) = 0 with z = -X or iX for real (theta, X) by Newton's method. */
  function polish(pi, axis, theta, X) {
    const u = axis === "real" ? -1 : 0, v = axis === "real" ? 0 : 1;
    for (let k = 0; k < 30; k++) {
      const [a, b, da, db] = A.evaluate(at(pi, u * X, v * X), Math.cos(theta), Math.sin(theta));
      const [, , ez, fz] = A.evaluate(on(pi, theta), u * X, v * X);
      const c = Math.cos(theta), s = Math.sin(theta);
      const ta = -(da * s + db * c), tb = da * c - db * s; // derivative by theta: i zeta pi'
      const xa = ez * u - fz * v, xb = ez * v + fz * u;
      const det = ta * xb - tb * xa;
      if (det === 0) break;
      const dt = (a * xb - b * xa) / det, dx = (ta * b - tb * a) / det;
      theta -= dt;
      X -= dx;
      if (!isFinite(theta) || !isFinite(X)) return null;
      if (Math.abs(dx) <= 4 * EPS * Math.abs(X) && Math.abs(dt) <= 1e-13) break;
    }
    return { theta, X };
  }

  /** Whether the branch crosses the axis there, and not just touches it or lies on it to rounding. */
  function crosses(pi, axis, theta, X) {
    const x = axis === "real" ? -X : 0, y = axis === "real" ? 0 : X;
    const c = Math.cos(theta), s = Math.sin(theta);
    const [, , da, db] = A.evaluate(at(pi, x, y), c, s), [, , ez, fz] = A.evaluate(on(pi, theta), x, y);
    const slope = A.divide(da * s + db * c, -(da * c - db * s), ez, fz); // dz/dtheta
    const across = Math.abs(axis === "real" ? slope[1] : slope[0]);
    return across * Math.min(Math.abs(theta), 1) > 1e-11 * Math.abs(X);
  }

  const TERMS = 13; // of the series of a root in z

  /** Return the root that is `start` (1 or -1) at z = 0 as a power series in z, or null if it is not simple. */
  function series(pi, start) {
    const { n, d, c } = pi, a = new Float64Array(TERMS);
    let slope = 0;
    for (let i = 1; i <= n; i++) slope += i * c[i * (d + 1)] * Math.pow(start, i - 1);
    if (Math.abs(slope) < 1e-9) return null;
    a[0] = start;
    for (let k = 1; k < TERMS; k++) { // Horner's scheme in zeta = a(z); each pass settles one more term
      let total = new Float64Array(TERMS);
      for (let i = n; i >= 0; i--) {
        const next = new Float64Array(TERMS);
        for (let u = 0; u <= k; u++) for (let v = 0; u + v <= k; v++) next[u + v] += total[u] * a[v];
        for (let j = 0; j <= Math.min(d, k); j++) next[j] += c[i * (d + 1) + j];
        total = next;
      }
      a[k] -= total[k] / slope;
    }
    return a;
  }

  /** How |zeta(iy)| begins for a root that is `start` at 0: {grows, reach}, its first term deciding for y < reach. */
  function beginning(pi, start) {
    const a = series(pi, start);
    if (!a) return null;
    const b = [], noise = [];
    for (let m = 1; 2 * m < TERMS; m++) { // zeta(iy) zeta(-iy) = 1 + b_1 y^2 + b_2 y^4 + ...
      let total = 0, size = 0;
      for (let j = 0; j <= 2 * m; j++) {
        total += (j % 2 ? -1 : 1) * a[j] * a[2 * m - j];
        size += Math.abs(a[j] * a[2 * m - j]);
      }
      b.push(total * (m % 2 ? -1 : 1));
      noise.push(1e-12 * size);
    }
    const first = b.findIndex((e, m) => Math.abs(e) > noise[m]);
    if (first < 0) return { grows: false, reach: 0 };
    let reach = Infinity;
    for (let m = first + 1; m < b.length; m++) {
      reach = Math.min(reach, Math.pow(Math.abs(b[first]) / Math.max(Math.abs(b[m]), noise[m]), 0.5 / (m - first)));
    }
    return { grows: b[first] > 0, reach: 0.4 * reach, speed: Math.abs(a[1]), angle: start > 0 ? 0 : Math.PI };
  }

  /** Return the X > 0 at which a root may cross the unit circle, ascending. */
  function critical(pi, axis, upper, starts) {
    const { theta, points } = upper, found = [];
    const off = (z) => (axis === "real" ? z[1] : z[0]), along = (z) => (axis === "real" ? -z[0] : z[1]);
    const noise = (t, X) => starts.some((s) => X < s.reach && Math.abs(Math.abs(t) - s.angle) < 3 * s.speed * X);
    const add = (X, t) => {
      const size = Math.abs(X);
      if (size > 1e-9 && (axis !== "real" || X > 0) && !noise(t, size)) found.push(size);
    };
    const tryAt = (t, X) => {
      const end = polish(pi, axis, t, X);
      if (end && Math.abs(end.theta - t) < 0.2 && crosses(pi, axis, end.theta, end.X)) add(end.X, end.theta);
    };
    for (const k of [0, theta.length - 1]) { // zeta = 1 and -1, where real z belong to real roots
      for (const z of A.roots(on(pi, theta[k]))) if (Math.abs(off(z)) <= 1e-9 * Math.hypot(...z)) add(along(z), theta[k]);
    }
    for (let b = 0; b < pi.d; b++) {
      const g = points.map((p) => off(p[b])), size = points.map((p) => Math.hypot(...p[b]));
      const lying = g.filter((e, k) => Math.abs(e) <= 1e-13 * (1 + size[k])).length;
      if (lying > 0.9 * g.length) { extremes(pi, theta, points.map((p) => along(p[b])), along, add); continue; }
      for (let k = 1; k < g.length; k++) {
        if (g[k] >= 0 !== g[k - 1] >= 0) tryAt(between(theta, g, k), along(points[k][b]));
        const low = k + 1 < g.length && Math.abs(g[k]) < Math.min(Math.abs(g[k - 1]), Math.abs(g[k + 1]));
        if (low && g[k] * g[k - 1] > 0 && g[k] * g[k + 1] > 0) closer(pi, theta[k - 1], theta[k + 1], points[k][b], off, along, tryAt);
      }
    }
    found.sort((a, b) => a - b);
    return found.filter((X, k) => k === 0 || X - found[k - 1] > 1e-10 * X);
  }

  /** The angle at which the straight line between two values of g vanishes. */
  function between(theta, g, k) {
    return theta[k - 1] + (theta[k] - theta[k - 1]) * g[k - 1] / (g[k - 1] - g[k]);
  }

  /** Look for two crossings between two angles, where the branch near z comes close to the axis. */
  function closer(pi, low, high, z, off, along, tryAt) {
    let last = null;
    for (let k = 0; k <= 32; k++) {
      const t = low + (high - low) * k / 32;
      const next = matched([last ? last.z : z], A.roots(on(pi, t)))[0];
      if (!next) return;
      if (last && off(next) >= 0 !== off(last.z) >= 0) tryAt(t, along(next));
      last = { z: next };
    }
  }

  /** A branch that stays on the axis: roots on the circle, which can leave it where the branch turns. */
  function extremes(pi, theta, X, along, add) {
    for (let k = 1; k + 1 < X.length; k++) {
      if ((X[k] - X[k - 1]) * (X[k + 1] - X[k]) > 0) continue;
      let low = theta[k - 1], high = theta[k + 1];
      const size = (t) => Math.max(...A.roots(on(pi, t)).map((z) => Math.abs(along(z))).filter((x) => Math.abs(x - Math.abs(X[k])) < 0.1 * (1 + Math.abs(X[k]))));
      for (let step = 0; step < 80; step++) {
        const a = low + (high - low) / 3, b = high - (high - low) / 3;
        if (size(a) < size(b)) low = a; else high = b;
      }
      add(size((low + high) / 2), (low + high) / 2);
    }
  }

  /** Return x* of the interval (-x*, 0) or y* of (-iy*, iy*): the first segment between critical points that fails. */
  function interval(pi, axis, upper, inside) {
    const origin = axis === "real" ? [] : A.roots(at(pi, 0, 0)).filter(([x, y]) => Math.abs(Math.abs(x) - 1) + Math.abs(y) < 1e-9);
    const starts = origin.map(([x]) => beginning(pi, Math.sign(x))).filter((one) => one !== null);
    if (starts.some((one) => one.grows)) return 0;
    const ends = critical(pi, axis, upper, starts);
    let low = 0;
    const holds = (X) => (axis === "real" ? inside(-X, 0) : inside(0, X));
    for (const X of ends) {
      if (!holds((low + X) / 2)) return low;
      low = X;
    }
    return holds(low + Math.max(1, low)) ? Infinity : low;
  }

  // --- all of a method at once ---

  const COUNT = 500; // angles of the locus in the upper half of the circle

  /** Return what the page needs of a method: polynomial, test, locus and intervals (the last are worked out when asked). */
  function model(method, parameters) {
    const member = find(method);
    const key = `${member.polynomial} ${member.needs.beta && parameters.beta} ${member.needs.h && parameters.h}`;
    if (cache.has(key)) return cache.get(key);
    if (cache.size > 40) cache.clear();
    const pi = coefficients(method, parameters), inside = tester(pi);
    let upper = null;
    const ends = {};
    const made = {
      pi,
      stable: inside,
      roots: (x, y) => A.roots(at(pi, x, y)),
      get upper() { return upper || (upper = upperLocus(pi, COUNT)); },
      interval(axis) {
        if (!(axis in ends)) ends[axis] = interval(pi, axis, made.upper, inside);
        return ends[axis];
      },
    };
    cache.set(key, made);
    return made;
  }

  return {
    register,
    find,
    family,
    get families() { return data.families; },
    get published() { return data.published; },
    get polynomials() { return data.polynomials; },
    coefficients,
    model,
    locus,
    roots: (method, parameters, x, y) => model(method, parameters).roots(x, y),
    stable: (method, parameters, x, y) => model(method, parameters).stable(x, y),
    realInterval: (method, parameters) => model(method, parameters).interval("real"),
    imaginaryInterval: (method, parameters) => model(method, parameters).interval("imaginary"),
  };
})();
