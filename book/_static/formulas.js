/* Inline formulas that are wider than the text around them scroll, instead of widening the page of a phone. */
(function () {
  "use strict";

  function mark() {
    for (const formula of document.querySelectorAll("article span.math")) {
      formula.classList.remove("numdiff-wide");
      const drawn = formula.querySelector("mjx-container");
      const block = formula.closest("p, li, dd, td, figcaption, div");
      if (drawn && block) formula.classList.toggle("numdiff-wide", drawn.scrollWidth > block.clientWidth);
    }
  }

  window.addEventListener("load", async () => {
    if (!window.MathJax || !MathJax.startup) return;
    await MathJax.startup.promise;
    mark();
    window.addEventListener("resize", mark);
  });
})();
