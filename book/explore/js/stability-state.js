/* The state of the stability explorer and its form in the address: #m=hb&k=4&f=noise/ratio&b=0.3&... */
"use strict";

var numdiffStabilityState = (function () {
  const S = numdiffStability, C = numdiffStabilityControls;
  const START = { family: "ghvb", order: 3, formulation: "noise/ratio", variant: "", beta: 0.8 };
  const OTHER = { family: "ab", order: 3, formulation: "noise/ratio", variant: "", beta: 1 };

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

  function numbers(text, count) {
    const found = (text || "").split(",").map(Number);
    return text && found.length === count && found.every(Number.isFinite) ? found : null;
  }

  function within(name, text, otherwise) {
    const value = Number(text), [low, high] = C.RANGE[name];
    return text !== null && text !== "" && value >= low && value <= high ? value : otherwise;
  }

  function readMethod(query, mark, otherwise) {
    const key = query.get("m" + mark);
    if (!S.families.some((f) => f.key === key)) return { ...otherwise };
    const order = query.get("k" + mark);
    const found = C.closest(key, {
      family: undefined, order: order === null ? null : Number(order), formulation: query.get("f" + mark), variant: query.get("v" + mark) || "",
      beta: otherwise.beta,
    });
    return { ...found, beta: within("beta", query.get("b" + mark), found.beta) };
  }

  /** Return the state that a fragment stands for; what it lacks, or what cannot be read, is as at the start. */
  function fromHash(text) {
    const query = new URLSearchParams(text.replace(/^#/, "")), plain = initial();
    const view = numbers(query.get("w"), 3);
    return {
      first: readMethod(query, "", plain.first),
      second: readMethod(query, "2", plain.second),
      compare: query.has("m2"),
      h: within("h", query.get("h"), plain.h),
      pointer: numbers(query.get("z"), 2) || plain.pointer,
      view: view && view[2] >= 1e-6 && view[2] <= 1e4 ? { x: view[0], y: view[1], r: view[2] } : null,
    };
  }

  return { initial, toHash, fromHash };
})();
