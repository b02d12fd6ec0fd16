/* What the Link pages do more with a script than without: nothing of it is needed to connect. */
(function () {
  "use strict";

  function each(selector, work) {
    Array.prototype.forEach.call(document.querySelectorAll(selector), work);
  }

  // What went wrong is read first, and the keyboard goes on from there.
  var first = document.querySelector("[data-focus]");
  if (first) first.focus();

  // A link to a field in the summary of faults leads the keyboard into it.
  each(".alert a[href^='#']", function (link) {
    link.addEventListener("click", function (event) {
      var place = document.getElementById(link.getAttribute("href").slice(1));
      var field = place && (place.matches("input, select") ? place : place.querySelector("input, select"));
      if (!field) return;
      event.preventDefault();
      field.focus();
      field.scrollIntoView({ block: "center" });
    });
  });

  // Passwords can be looked at while they are typed.
  each("[data-reveal]", function (button) {
    var input = document.getElementById(button.dataset.reveal);
    var word = button.firstChild;
    button.hidden = false;
    button.addEventListener("click", function () {
      var shown = input.type === "password";
      input.type = shown ? "text" : "password";
      word.textContent = shown ? "Hide" : "Show";
      button.setAttribute("aria-pressed", String(shown));
    });
  });

  // A form is sent once, and says that it works on it.
  each("form[method=post]", function (form) {
    form.addEventListener("submit", function () {
      each("[data-reveal]", function (button) {
        document.getElementById(button.dataset.reveal).type = "password";
      });
      var busy = form.querySelector(".busy");
      if (busy) busy.textContent = form.dataset.busy || "";
      // After the browser has taken the values: the pressed button's own is one of them.
      setTimeout(function () {
        form.querySelectorAll("button").forEach(function (button) { button.disabled = true; });
      }, 0);
    });
  });
  window.addEventListener("pageshow", function (event) {
    if (!event.persisted) return;
    each("form[method=post] button", function (button) { button.disabled = false; });
    each(".busy", function (busy) { busy.textContent = ""; });
  });

  // The list follows what is typed into the search.
  each("[data-filter]", function (input) {
    var items = document.getElementById(input.dataset.filter).children;
    var nothing = document.getElementById(input.dataset.filter + "-nothing");
    var count = document.getElementById(input.dataset.filter + "-count");
    each("[data-needless]", function (button) { button.hidden = true; });
    input.addEventListener("input", function () {
      var words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      var left = 0;
      Array.prototype.forEach.call(items, function (item) {
        var fits = words.every(function (word) { return item.dataset.text.indexOf(word) >= 0; });
        item.hidden = !fits;
        if (fits) left += 1;
      });
      nothing.hidden = left > 0;
      count.textContent = left === 1 ? "1 system fits" : left + " systems fit";
    });
  });

  // Away to another site: not by a form, which the policy of these pages keeps here.
  function leave(link) {
    if (link) window.location.replace(link.href);
  }
  leave(document.querySelector("[data-forward]"));

  // The popup hands over to the page that opened it, on the one origin that was registered, and closes.
  var handover = document.querySelector("[data-handover]");
  if (handover) {
    var told = handover.dataset;
    var opener = window.opener;
    if (opener && !opener.closed) {
      opener.postMessage(
        told.code
          ? { type: "lineshaft:link", code: told.code, state: told.state }
          : { type: "lineshaft:link", reason: told.reason, state: told.state },
        told.origin
      );
      window.close();
    } else if (document.querySelector("[data-otherwise]")) {
      leave(document.querySelector("[data-otherwise]"));
    } else {
      each("[data-unheard]", function (text) { text.hidden = false; });
    }
  }
})();
