/* Handles on the components of the mixture: buttons over the plane of sampler A, moved by mouse, touch and keys. */
"use strict";

numdiffPlayground.handles = (function () {
  const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
  const STRIDE = 0.05; // of an arrow key; five times as far with Shift
  let plane, move;
  const buttons = [];

  function attach(element, mover) {
    plane = element;
    move = mover;
  }

  const toPercent = (v) => 50 * (1 + v / numdiffPlayground.view.HALF);

  function make(k) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "playground-handle";
    button.textContent = k + 1;
    button.addEventListener("pointerdown", (event) => {
      if (event.button) return; // the right and the middle one are not for dragging
      button.setPointerCapture(event.pointerId);
      button.classList.add("held");
    });
    button.addEventListener("pointermove", (event) => {
      if (button.classList.contains("held")) move(k, ...position(event), false);
    });
    const release = () => button.classList.remove("held");
    button.addEventListener("pointerup", release);
    button.addEventListener("pointercancel", release);
    button.addEventListener("keydown", (event) => {
      if (!(event.key in KEYS)) return;
      event.preventDefault();
      const [dx, dy] = KEYS[event.key].map((d) => d * STRIDE * (event.shiftKey ? 5 : 1));
      move(k, Number(button.dataset.x) + dx, Number(button.dataset.y) + dy, false);
    });
    return button;
  }

  /** Plane coordinates of a pointer. */
  function position(event) {
    const box = plane.getBoundingClientRect();
    const half = numdiffPlayground.view.HALF;
    return [((event.clientX - box.left) / box.width * 2 - 1) * half, (1 - (event.clientY - box.top) / box.height * 2) * half];
  }

  /** Put a button at every component; what is held keeps its place in the document. */
  function place(components, state) {
    while (buttons.length > components.length) buttons.pop().remove();
    components.forEach(([, x, y], k) => {
      if (!buttons[k]) plane.append((buttons[k] = make(k)));
      const button = buttons[k];
      Object.assign(button.dataset, { x, y });
      button.style.left = toPercent(x) + "%";
      button.style.top = toPercent(-y) + "%";
      button.classList.toggle("pushed", state.scale > 0 && state.component === k);
      const where = `at ${x.toFixed(2)}, ${y.toFixed(2)}`;
      button.setAttribute("aria-label", `Component ${k + 1} ${where}; arrow keys move it, with Shift farther`);
    });
  }

  return { attach, place };
})();
