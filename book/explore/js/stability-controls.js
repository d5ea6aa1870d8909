/* The controls that choose one method: a fieldset that reads and writes {family, order, formulation, variant, beta}. */
"use strict";

var numdiffStabilityControls = (function () {
  const S = numdiffStability;
  const WORDS = {
    "noise/ratio": "noise, in \u03c3/\u03b1",
    "noise/log-snr": "noise, in log-SNR",
    "data/log-snr": "data, in log-SNR",
    "data/ratio": "data, in \u03b1/\u03c3",
    "velocity/time": "velocity, in time",
  };
  const RANGE = { beta: [0.01, 2, 0.01], h: [0.01, 3, 0.01] };

  function element(tag, attributes, ...children) {
    const made = document.createElement(tag);
    for (const [key, value] of Object.entries(attributes || {})) made.setAttribute(key, value);
    made.append(...children);
    return made;
  }

  function field(id, text, ...controls) {
    return element("div", { class: "explorer-field" }, element("label", { for: id }, text), ...controls);
  }

  function fill(select, entries, chosen) {
    const groups = new Map();
    for (const [value, text, group] of entries) {
      const option = element("option", { value }, text);
      option.selected = value === String(chosen);
      if (!group) { groups.set(value, option); continue; }
      if (!groups.has(group)) groups.set(group, element("optgroup", { label: group }));
      groups.get(group).append(option);
    }
    select.replaceChildren(...groups.values());
  }

  /** A slider and a number input for one parameter; calls change(value) for what lies in the range. */
  function slider(id, text, name, change) {
    const [low, high, step] = RANGE[name];
    const range = element("input", { type: "range", id, min: low, max: high, step });
    const number = element("input", {
      type: "number", id: `${id}-number`, min: low, max: high, step: "any", "aria-label": `${text}, as a number`, inputmode: "decimal", "aria-describedby": `${id}-wrong`,
    });
    const wrong = element("p", { id: `${id}-wrong`, class: "explorer-wrong", role: "status" });
    const judge = (fits) => {
      number.setAttribute("aria-invalid", String(!fits));
      wrong.textContent = fits ? "" : `A number from ${low} to ${high}; ${range.dataset.exact} is kept.`;
    };
    const read = (source) => {
      const value = Number(source.value), fits = source.value !== "" && value >= low && value <= high;
      if (fits) change(value);
      judge(fits);
    };
    range.addEventListener("input", () => read(range));
    number.addEventListener("input", () => read(number));
    number.addEventListener("blur", () => { judge(true); number.value = range.dataset.exact; });
    const box = field(id, text, element("div", { class: "explorer-slider" }, range, number), wrong);
    box.show = (value) => {
      range.value = range.dataset.exact = value;
      if (document.activeElement !== number) number.value = value;
    };
    return box;
  }

  const publishedKey = (entry) => `${entry.library}:${entry.name}`;

  function publishedMember(entry) {
    return S.family(entry.family).members[entry.member];
  }

  /** Return {element, show(method)} for a fieldset; `change(method)` hears every choice. */
  function create(prefix, legend, change) {
    const select = (name) => element("select", { id: `${prefix}-${name}` });
    const published = select("published"), method = select("method"), order = select("order");
    const variant = select("variant"), formulation = select("formulation");
    let present = null;
    const update = (changes) => change({ ...present, ...changes });
    const proved = element("p", { class: "explorer-proved" });
    const beta = slider(`${prefix}-beta`, "Damping \u03b2", "beta", (value) => update({ beta: value }));
    const boxes = {
      order: field(order.id, "Order (parameter)", order),
      variant: field(variant.id, "Variant", variant),
      formulation: field(formulation.id, "Formulation", formulation),
    };
    published.addEventListener("change", () => {
      const entry = S.published.find((one) => publishedKey(one) === published.value);
      if (entry) change(fromMember(publishedMember(entry), present));
    });
    method.addEventListener("change", () => change(closest(method.value, present)));
    order.addEventListener("change", () => change(closest(present.family, { ...present, order: Number(order.value) }, ["order"])));
    variant.addEventListener("change", () => change(closest(present.family, { ...present, variant: variant.value }, ["variant"])));
    formulation.addEventListener("change", () => change(closest(present.family, { ...present, formulation: formulation.value }, ["formulation"])));
    const box = element("fieldset", { class: "explorer-method" }, element("legend", {}, legend),
      field(method.id, "Method", method), element("div", { class: "explorer-row" }, boxes.order, boxes.formulation),
      boxes.variant, proved, beta, field(published.id, "Or by its name in a library", published));
    function show(chosen) {
      present = chosen;
      const members = S.family(chosen.family).members;
      fill(method, S.families.map((f) => [f.key, `${title(f.summary)} (${f.key})`, f.group]), chosen.family);
      const orders = [...new Set(members.map((m) => m.order))];
      fill(order, orders.map((k) => [String(k), String(k)]), chosen.order);
      boxes.order.hidden = orders.length < 2;
      const forms = [...new Set(members.filter((m) => m.order === chosen.order && m.variant === chosen.variant).map((m) => m.formulation))];
      fill(formulation, forms.map((f) => [f, WORDS[f] || f]), chosen.formulation);
      formulation.disabled = forms.length < 2;
      const variants = [...new Set(members.map((m) => m.variant))];
      fill(variant, variants.map((v) => [v, v || "default"]), chosen.variant);
      boxes.variant.hidden = variants.length < 2;
      const member = S.find(chosen);
      proved.textContent = named(member, chosen.beta) + orderOf(member, chosen.beta);
      beta.hidden = !member.needs.beta;
      if (member.needs.beta) beta.show(chosen.beta);
      const same = S.published.filter((e) => publishedMember(e) === member && (!member.needs.beta || member.beta === chosen.beta));
      const kept = same.find((e) => publishedKey(e) === published.value) || same[0];
      fill(published, [["", "\u2013"], ...S.published.map((e) => [publishedKey(e), e.name, e.library])], kept ? publishedKey(kept) : "");
    }
    return { element: box, show };
  }

  /** The head of a summary with a capital letter, but for names such as iPNDM_v. */
  function title(summary) {
    const head = summary.replace(/ \([^)]*\)/g, "").split(/[:,]/)[0];
    return /^[a-z]+(?![A-Za-z])/.test(head) ? head[0].toUpperCase() + head.slice(1) : head;
  }

  /** The name of a member with a number for its damping. */
  const named = (member, beta) => member.name.replace(/\bbeta\b/g, `\u03b2 = ${beta}`);

  /** What is proved of a member's order; a damping of 1, no momentum, can have another one than all the rest. */
  function orderOf(member, beta) {
    const order = member.proved[member.proved.length > 1 && beta === 1 ? 1 : 0];
    return order === null ? "" : `: order ${order}${member.noise ? " without the noise" : ""}`;
  }

  /** Return the choice that a member is, with its family's damping where it has one. */
  function fromMember(member, before) {
    const beta = member.needs.beta ? member.beta : before ? before.beta : 0.8;
    return { family: member.family, order: member.order, formulation: member.formulation, variant: member.variant, beta };
  }

  /** Return the member of a family that agrees best with what was chosen, in the order given, `first` above all. */
  function closest(key, wanted, first) {
    const weights = { variant: 1, formulation: 2, order: 4 };
    for (const name of first || []) weights[name] = 100;
    let best = null, score = -1;
    for (const member of S.family(key).members) {
      const plain = member.variant === "" ? 0.5 : 0;
      const points = plain + Object.entries(weights).reduce((sum, [name, w]) => sum + (member[name] === wanted[name] ? w : 0), 0);
      if (points > score) { best = member; score = points; }
    }
    const beta = wanted && key === wanted.family && wanted.beta !== undefined ? wanted.beta : best.beta === null ? wanted.beta : best.beta;
    return { ...fromMember(best, wanted), beta };
  }

  return { create, closest, named, slider, element, field, RANGE };
})();
