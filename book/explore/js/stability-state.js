/* The state of the stability explorer and its form in the address: #m=hb&k=4&f=noise/ratio&b=0.3&...
 *
 * m family, k order, v variant, f formulation, b damping (with a 2 behind them for the second method), h step, z pointer,
 * w view (centre and half width). What is left out of a method is as in its family's default member; `method` is read as m.
 */
"use strict";

var numdiffStabilityState = (function () {
  const S = numdiffStability, C = numdiffStabilityControls;
  const START = { family: "ghvb", order: 3, formulation: "noise/ratio", variant: "", beta: 0.8 };
  const OTHER = { family: "ab", order: 3, formulation: "noise/ratio", variant: "", beta: 1 };
  const LIMIT = { place: 1000, least: 1e-6, most: 1000 }; // of Re z and Im z, and of half the width of the view

  const initial = () => ({ first: { ...START }, second: { ...OTHER }, compare: false, h: 0.5, pointer: [-0.3, 0.4], view: null });

  const short = (v) => String(Number(v.toPrecision(8)));

  function method(chosen, mark) {
    const member = S.find(chosen), parts = [["m", chosen.family]];
    if (chosen.order !== null) parts.push(["k", chosen.order]);
    if (chosen.variant) parts.push(["v", chosen.variant]);
    parts.push(["f", chosen.formulation]);
    if (member.needs.beta) parts.push(["b", short(chosen.beta)]);
    return parts.map(([key, value]) => [key + mark, value]);
  }

  /** Return the fragment, without "#", that stands for a state. */
  function toHash(state) {
    const parts = method(state.first, "");
    if (state.compare) parts.push(...method(state.second, "2"));
    const needs = [state.first, ...(state.compare ? [state.second] : [])].some((m) => S.find(m).needs.h);
    if (needs) parts.push(["h", short(state.h)]);
    parts.push(["z", state.pointer.map(short).join(",")]);
    if (state.view) parts.push(["w", [state.view.x, state.view.y, state.view.r].map(short).join(",")]);
    return parts.map(([key, value]) => `${key}=${encodeURIComponent(value).replace(/%2F/g, "/").replace(/%2C/g, ",").replace(/%20/g, "+")}`).join("&");
  }

  /** Whether a fragment is one of the explorer's, and not a heading of the page. */
  const ours = (hash) => /^#([^#]*&)?(m|method)=/.test(hash);

  const bound = (v) => Math.min(Math.max(v, -LIMIT.place), LIMIT.place);
  const boundRadius = (r) => Math.min(Math.max(r, LIMIT.least), LIMIT.most);

  function numbers(text, count) {
    const found = text.split(",").map((part) => (part.trim() === "" ? NaN : Number(part)));
    return found.length === count && found.slice(0, 2).every((v) => Math.abs(v) <= LIMIT.place) ? found : undefined;
  }

  function seen(text) {
    const found = numbers(text, 3);
    return found && found[2] >= LIMIT.least && found[2] <= LIMIT.most ? { x: found[0], y: found[1], r: found[2] } : undefined;
  }

  function within(name, text) {
    const value = Number(text), [low, high] = C.RANGE[name];
    return text !== "" && value >= low && value <= high ? value : undefined;
  }

  /** Takes the entries of a fragment one by one, and keeps those that could not be read. */
  function reader(hash) {
    const left = new Map(ours(hash) ? new URLSearchParams(hash.slice(1)) : []), unknown = [];
    const refuse = (key, text) => unknown.push(`${key}=${text}`);
    /** Return what `read` makes of an entry, or `otherwise` where there is none or `read` returns undefined. */
    function take(key, read, otherwise) {
      if (!left.has(key)) return otherwise;
      const text = left.get(key), value = read(text);
      left.delete(key);
      if (value === undefined) refuse(key, text);
      return value === undefined ? otherwise : value;
    }
    const rest = () => { for (const [key, text] of left) refuse(key, text); return unknown; };
    return { take, refuse, rest, has: (key) => left.has(key), rename: (from, to) => { if (left.has(from) && !left.has(to)) { left.set(to, left.get(from)); left.delete(from); } } };
  }

  /** Return the method that the entries with `mark` stand for, or null where its family is missing or unknown. */
  function readMethod(query, mark) {
    const family = query.take("m" + mark, (text) => S.families.find((f) => f.key === text), null);
    if (!family) return null;
    const standard = family.members[family.default], names = { order: "k" + mark, formulation: "f" + mark, variant: "v" + mark };
    const wanted = { family: undefined, beta: standard.beta === null ? 1 : standard.beta }, given = {};
    for (const [name, key] of Object.entries(names)) {
      const known = (text) => family.members.map((m) => m[name]).find((value) => value !== null && String(value) === text);
      given[name] = query.take(key, known, undefined);
      wanted[name] = given[name] === undefined ? standard[name] : given[name];
    }
    const found = C.closest(family.key, wanted, Object.keys(given).filter((name) => given[name] !== undefined));
    for (const [name, key] of Object.entries(names)) { // each is known, but no member has them all
      if (given[name] !== undefined && given[name] !== found[name]) query.refuse(key, given[name]);
    }
    const member = S.find(found);
    const damping = (text) => { const value = within("beta", text); return member.needs.beta || Math.abs(value - member.beta) < 1e-7 ? value : undefined; };
    return { ...found, beta: query.take("b" + mark, damping, found.beta) };
  }

  /** Return the state that a fragment stands for and its parts that were not understood, which are as at the start. */
  function fromHash(text) {
    const query = reader(text), plain = initial();
    query.rename("method", "m");
    query.rename("method2", "m2");
    const first = readMethod(query, ""), second = readMethod(query, "2");
    const state = {
      first: first || plain.first,
      second: second || plain.second,
      compare: second !== null,
      h: query.take("h", (value) => within("h", value), plain.h),
      pointer: query.take("z", (value) => numbers(value, 2), plain.pointer),
      view: query.take("w", seen, null),
    };
    return { state, unknown: query.rest() };
  }

  return { initial, toHash, fromHash, ours, bound, boundRadius };
})();
