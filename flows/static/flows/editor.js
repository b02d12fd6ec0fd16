// The editor of a definition: Ace, and on touch screens, whose keyboards it serves badly, the plain field, which does all
// by itself without scripts too. The server judges what is typed, by the same rules as saving it.
"use strict";

(() => {
  const form = document.querySelector("form.lsh-draft");
  const field = document.getElementById("id_definition");
  if (!form || !field) return;
  const box = document.getElementById("definition-faults");
  const PAUSE_MS = 500;

  const dark = () => document.documentElement.classList.contains("dark");

  // --- what is typed into: the same few verbs for either -----------------------------------------------------------

  const plain = {
    text: () => field.value,
    replace(text) {
      field.value = text;
      field.dispatchEvent(new Event("input"));
    },
    insert(text) {
      field.setRangeText(text, field.selectionStart, field.selectionEnd, "end");
      field.dispatchEvent(new Event("input"));
      field.focus();
    },
    goTo(line) {
      const start = field.value.split("\n").slice(0, line - 1).join("\n").length + (line > 1 ? 1 : 0);
      field.focus();
      field.setSelectionRange(start, start + (field.value.split("\n")[line - 1] || "").length);
      field.scrollTop = (line - 4) * (field.scrollHeight / field.value.split("\n").length);
    },
    mark() {},
    onChange: (then) => field.addEventListener("input", then),
  };

  function withAce() {
    const place = document.createElement("div");
    field.after(place);
    field.hidden = true;
    const editor = window.ace.edit(place, {
      mode: "ace/mode/json",
      theme: dark() ? "ace/theme/tomorrow_night" : "ace/theme/textmate",
      value: field.value,
      useWorker: false, // the server judges
      tabSize: 2,
      useSoftTabs: true,
      showPrintMargin: false,
      enableKeyboardAccessibility: true,
    });
    editor.textInput.getElement().setAttribute("aria-label", "Definition");
    editor.session.on("change", () => { field.value = editor.getValue(); });
    new MutationObserver(() => editor.setTheme(dark() ? "ace/theme/tomorrow_night" : "ace/theme/textmate"))
      .observe(document.documentElement, { attributeFilter: ["class"] });
    return {
      text: () => editor.getValue(),
      replace: (text) => editor.session.setValue(text),
      insert(text) {
        const at = editor.getCursorPosition();
        const indent = " ".repeat(at.column);
        editor.insert(text.replaceAll("\n", "\n" + indent));
        editor.focus();
      },
      goTo(line) {
        editor.gotoLine(line, 0, false);
        editor.focus();
      },
      mark: (faults) => editor.session.setAnnotations(
        faults.filter((fault) => fault.line).map((fault) => ({ row: fault.line - 1, text: fault.detail, type: "error" })),
      ),
      onChange: (then) => editor.session.on("change", then),
    };
  }

  const isTouched = window.matchMedia("(pointer: coarse)").matches;
  const typed = window.ace && !isTouched ? withAce() : plain;

  // --- judged ------------------------------------------------------------------------------------------------------

  function element(name, text) {
    const made = document.createElement(name);
    made.textContent = text;
    return made;
  }

  function itemOf(fault) {
    const item = document.createElement("li");
    if (fault.line) {
      const link = element("a", `Line ${fault.line}`);
      link.href = "#id_definition";
      link.dataset.line = fault.line;
      item.append(link, " ");
    }
    if (fault.pointer) item.append(element("code", fault.pointer), " ");
    item.append(fault.detail);
    return item;
  }

  function show(faults) {
    typed.mark(faults);
    if (!faults.length) {
      const well = element("p", "The definition can be saved.");
      well.className = "lsh-small";
      box.replaceChildren(well);
      return;
    }
    const head = element("p", "");
    head.append(element("strong", faults.length === 1 ? "1 thing to mend" : `${faults.length} things to mend`));
    const list = document.createElement("ul");
    list.append(...faults.map(itemOf));
    const whole = document.createElement("div");
    whole.className = "lsh-error";
    whole.append(head, list);
    box.replaceChildren(whole);
  }

  let latest = 0;
  let timer = 0;

  async function check() {
    const mine = ++latest;
    const body = new FormData();
    body.set("definition", typed.text());
    body.set("csrfmiddlewaretoken", form.querySelector("[name=csrfmiddlewaretoken]").value);
    const answer = await fetch(form.dataset.check, { method: "POST", body });
    if (!answer.ok || mine !== latest) return;
    show((await answer.json()).faults);
  }

  typed.onChange(() => {
    clearTimeout(timer);
    timer = setTimeout(() => check().catch(() => {}), PAUSE_MS); // offline: saving will tell
  });

  // --- pressed -----------------------------------------------------------------------------------------------------

  box.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-line]");
    if (!link) return;
    event.preventDefault();
    typed.goTo(Number(link.dataset.line));
  });

  const format = document.getElementById("format-definition");
  format.hidden = false;
  format.addEventListener("click", () => {
    try {
      typed.replace(JSON.stringify(JSON.parse(typed.text()), null, 2) + "\n");
    } catch {
      check().catch(() => {}); // not JSON: the server tells where
    }
  });

  const steps = document.getElementById("insert-step");
  steps.hidden = false;
  steps.addEventListener("change", () => {
    if (steps.value) typed.insert(steps.value);
    steps.value = "";
  });

  document.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "s") {
      event.preventDefault();
      form.requestSubmit(form.querySelector("[name=save]"));
    }
  });
})();
