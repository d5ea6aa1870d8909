/* Complex polynomials and the phi functions, without any page: what the explorers compute with.
 *
 * A polynomial is a pair of Float64Array (real and imaginary parts), lowest power first. A complex number is [re, im].
 */
"use strict";

var numdiffAlgebra = (function () {
  const EPS = Number.EPSILON;

  /** phi_k(x) = int_0^1 e^{(1-t)x} t^{k-1}/(k-1)! dt for real x: downward from a series, or upward from e^x. */
  function phi(k, x) {
    if (k === 0) return Math.exp(x);
    if (k < Math.max(-x, x / 2)) {
      let value = Math.exp(x);
      for (let j = 0, factorial = 1; j < k; factorial *= ++j) value = (value - 1 / factorial) / x;
      return value;
    }
    let term = 1;
    for (let j = 2; j <= k; j++) term /= j;
    let sum = term;
    if (x >= 0) { // all terms are positive
      for (let j = k + 1; Math.abs(term) > EPS * sum / 8; j++) sum += term *= x / j;
      return sum;
    }
    // e^x M(k, k + 1, -x)/k! has positive terms where the plain series alternates
    for (let j = 1, power = term; power > EPS * sum / 8 || j <= -x; j++) {
      power *= -x / j;
      sum += power * k / (k + j);
    }
    return Math.exp(x) * sum;
  }

  function zeros(n) {
    return { re: new Float64Array(n), im: new Float64Array(n) };
  }

  /** Return [p(z), p'(z), sum |p_k||z|^k] of a polynomial. */
  function evaluate(p, x, y) {
    let n = p.re.length, a = 0, b = 0, da = 0, db = 0, size = 0;
    const modulus = Math.hypot(x, y);
    for (let k = n - 1; k >= 0; k--) {
      const t = da * x - db * y + a;
      db = da * y + db * x + b;
      da = t;
      const s = a * x - b * y + p.re[k];
      b = a * y + b * x + p.im[k];
      a = s;
      size = size * modulus + Math.hypot(p.re[k], p.im[k]);
    }
    return [a, b, da, db, size];
  }

  /** Degree without leading coefficients that are zero to rounding. */
  function degree(p) {
    let largest = 0, n = p.re.length - 1;
    for (let k = 0; k <= n; k++) largest = Math.max(largest, Math.hypot(p.re[k], p.im[k]));
    while (n > 0 && Math.hypot(p.re[n], p.im[n]) <= EPS * largest) n--;
    return n;
  }

  /** Return the roots, by Aberth's simultaneous iteration from a circle of Cauchy's radius, as a list of [re, im]. */
  function roots(p) {
    const n = degree(p), found = [];
    if (n < 1) return found;
    if (n === 1) return [divide(-p.re[0], -p.im[0], p.re[1], p.im[1])];
    if (n === 2) return quadratic(p);
    let radius = 0;
    const lead = Math.hypot(p.re[n], p.im[n]);
    for (let k = 0; k < n; k++) {
      radius = Math.max(radius, Math.pow(Math.hypot(p.re[k], p.im[k]) / lead, 1 / (n - k)));
    }
    for (let k = 0; k < n; k++) {
      const angle = 2 * Math.PI * k / n + 0.7;
      found.push([radius * Math.cos(angle), radius * Math.sin(angle)]);
    }
    const done = new Array(n).fill(false);
    const q = n === p.re.length - 1 ? p : { re: p.re.slice(0, n + 1), im: p.im.slice(0, n + 1) };
    for (let sweep = 0; sweep < 80; sweep++) {
      let moving = false;
      for (let k = 0; k < n; k++) if (!done[k]) moving = aberth(q, found, k, done) || moving;
      if (!moving) break;
    }
    return found;
  }

  function aberth(p, found, k, done) {
    const [x, y] = found[k], [a, b, da, db, size] = evaluate(p, x, y);
    if (Math.hypot(a, b) <= EPS * size / 2) { done[k] = true; return false; }
    const newton = divide(a, b, da, db);
    let s = 0, t = 0;
    for (let j = 0; j < found.length; j++) {
      if (j === k) continue;
      const r = divide(1, 0, x - found[j][0], y - found[j][1]);
      if (isFinite(r[0]) && isFinite(r[1])) { s += r[0]; t += r[1]; }
    }
    const step = divide(newton[0], newton[1], 1 - (newton[0] * s - newton[1] * t), -(newton[0] * t + newton[1] * s));
    if (!isFinite(step[0]) || !isFinite(step[1])) { found[k] = [x * 1.1 + 1e-3, y * 1.1 + 1e-3]; return true; }
    found[k] = [x - step[0], y - step[1]];
    if (Math.hypot(step[0], step[1]) <= EPS * Math.hypot(x, y) / 4) { done[k] = true; return false; }
    return true;
  }

  /** Roots of degree 2 by the formula that does not cancel. */
  function quadratic(p) {
    const b = divide(p.re[1], p.im[1], 2 * p.re[2], 2 * p.im[2]), c = divide(p.re[0], p.im[0], p.re[2], p.im[2]);
    const s = squareRoot(b[0] * b[0] - b[1] * b[1] - c[0], 2 * b[0] * b[1] - c[1]);
    const sign = b[0] * s[0] + b[1] * s[1] > 0 ? -1 : 1;
    const first = [-b[0] + sign * s[0], -b[1] + sign * s[1]];
    if (first[0] === 0 && first[1] === 0) return [first, [0, 0]];
    return [first, divide(c[0], c[1], first[0], first[1])];
  }

  function divide(a, b, c, d) {
    const m = c * c + d * d;
    return [(a * c + b * d) / m, (b * c - a * d) / m];
  }

  function squareRoot(x, y) {
    const m = Math.hypot(x, y), u = Math.sqrt((m + Math.abs(x)) / 2);
    if (u === 0) return [0, 0];
    const v = Math.abs(y) / (2 * u), sign = y < 0 ? -1 : 1;
    return x >= 0 ? [u, sign * v] : [v, sign * u];
  }

  return { phi, zeros, evaluate, degree, roots, divide, squareRoot, EPS };
})();
