/* The sampler playground's elements: made once, filled and read by playground-page.js. */
"use strict";

numdiffPlayground.build = (function () {
  const field = (id, label, control, extra = "") =>
    `<div class="playground-field ${extra}"><label for="${id}">${label}</label>${control}</div>`;
  const select = (id) => `<select id="${id}"></select>`;
  const range = (id, low, high, step) => `<input type="range" id="${id}" min="${low}" max="${high}" step="${step}">`;

  const HINTS = {
    a: "Drag the numbered rings, or move them with the arrow keys.",
    b: "The components and the noise are those of sampler A.",
  };

  function common(most) {
    return `<div class="playground-common" role="group" aria-label="Problem and noise">
      ${field("pg-mixture", "Mixture", select("pg-mixture"))}
      ${field("pg-schedule", "Noise schedule", select("pg-schedule"))}
      ${field("pg-particles", "Particles", select("pg-particles"))}
      <div class="playground-field"><button type="button" id="pg-noise">Draw new noise</button></div>
      ${field("pg-component", "Guide towards", select("pg-component"))}
      ${field("pg-scale", 'Guidance scale: <output id="pg-scale-shown" for="pg-scale"></output>',
        range("pg-scale", 0, most, 0.25))}
      <div class="playground-field"><button type="button" id="pg-reset">Reset components</button></div>
    </div>`;
  }

  function side(letter) {
    const id = (name) => `pg-${letter}-${name}`;
    const steps = `Steps: <output id="${id("steps-shown")}" for="${id("steps")}"></output>`;
    const last = numdiffPlayground.shared.steps.length - 1;
    return `<section class="playground-side ${letter}" aria-labelledby="${id("title")}">
      <h3 id="${id("title")}">Sampler ${letter.toUpperCase()}</h3>
      <div class="playground-options">
        ${field(id("family"), "Method", select(id("family")))}
        ${field(id("member"), "Order and options", select(id("member")))}
        ${field(id("grid"), "Time steps", select(id("grid")))}
        ${field(id("steps"), steps, range(id("steps"), 0, last, 1))}
        <p class="playground-summary" id="${id("summary")}"></p>
      </div>
      <div class="playground-plane" id="${id("plane")}">
        <canvas id="${id("canvas")}" role="img" aria-describedby="pg-words"
          aria-label="Particles of sampler ${letter.toUpperCase()} over the density of the mixture"></canvas>
      </div>
      <p class="playground-hint">${HINTS[letter]}</p>
      <dl class="playground-numbers">
        <div><dt id="${id("counted")}"></dt><dd id="${id("count")}"></dd></div>
        <div><dt>RMS error at the end</dt><dd id="${id("rms")}"></dd></div>
        <div><dt>median error at the end</dt><dd id="${id("median")}"></dd></div>
      </dl>
      <p class="playground-note" id="${id("note")}"></p>
    </section>`;
  }

  const transport = `<div class="playground-transport" role="group" aria-label="Run">
      <button type="button" id="pg-back" aria-label="One step of sampler A back">&#x2212; step</button>
      <button type="button" id="pg-play">Play</button>
      <button type="button" id="pg-forward" aria-label="One step of sampler A forward">+ step</button>
      <div class="playground-place"><label for="pg-place">Noise to data</label>${range("pg-place", 0, 1, "any")}</div>
      <div class="playground-check"><input type="checkbox" id="pg-paths"><label for="pg-paths">Trajectories</label></div>
    </div>`;

  const chart = `<figure class="playground-chart">
      <svg id="pg-chart" role="img" aria-label="RMS error at the end of both samplers against their evaluations"></svg>
      <figcaption>RMS error at the end of a run against evaluations, both axes logarithmic, for every number of steps that is stored:
        sampler A solid with discs, sampler B dashed with squares. The large marks are the runs above. With guidance,
        evaluations of the condition count too.</figcaption>
    </figure>`;

  const share = `<div class="playground-share">
      <button type="button" id="pg-copy">Copy link to this view</button>
      <span id="pg-status" role="status"></span>
    </div>
    <p class="playground-hidden" id="pg-words" aria-live="polite"></p>`;

  /** Return select options grouped by heading: [[heading, [[value, text], ...]], ...]. */
  function grouped(groups) {
    return groups.map(([heading, options]) => {
      const group = document.createElement("optgroup");
      group.label = heading;
      group.append(...options.map(([value, text]) => new Option(text, value)));
      return group;
    });
  }

  function options(element, pairs) {
    element.replaceChildren(...pairs.map(([value, text]) => new Option(text, value)));
  }

  function build(root, most) {
    const sides = `<div class="playground-sides">${side("a")}${side("b")}</div>`;
    root.innerHTML = common(most) + sides + transport + chart + share;
    const found = {};
    root.querySelectorAll("[id]").forEach((element) => (found[element.id.slice(3)] = element));
    return found;
  }

  return { build, grouped, options };
})();
