// A run's page asks for its changing part anew every two seconds. What a person opened stays open, and only a change of
// the status is read out.
"use strict";

(() => {
  let open = [];
  const live = () => document.getElementById("flow-run-live");
  const told = () => (live() ? live().dataset.told : "");
  let last = told();

  document.addEventListener("htmx:beforeSwap", (event) => {
    if (event.detail.target.id === "flow-run-live") {
      open = [...event.detail.target.querySelectorAll("details[open][id]")].map((row) => row.id);
    }
  });

  document.addEventListener("htmx:afterSettle", () => {
    for (const id of open) {
      const row = document.getElementById(id);
      if (row) row.open = true;
    }
    if (told() !== last) {
      last = told();
      document.getElementById("run-told").textContent = last;
    }
  });
})();
