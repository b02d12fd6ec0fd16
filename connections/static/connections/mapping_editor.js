/* The editor of one mapping. The form works without: what is edited here is written into its JSON. */
(function () {
  "use strict";

  var WAIT_MS = 350, ASK_MS = 2000;
  var R = window.MappingRows;
  var form = document.getElementById("mapping-form");
  if (!form || !form.dataset.preview) return;
  var data = JSON.parse(document.getElementById("mapping-data").textContent);
  var fields = JSON.parse(document.getElementById("mapping-fields").textContent) || [];
  var text = document.getElementById("id_rows");
  var draft = new R.Draft(data.defaults, data.override);
  var published = JSON.stringify(data.override);
  var open = null, errors = {}, request = null, timer = null;

  function $(name) {
    return form.querySelector("[data-" + name + "]");
  }

  // make("li", {class: "x", onclick: f}, [children or texts])
  function make(tag, facts, children) {
    var node = document.createElement(tag);
    Object.keys(facts || {}).forEach(function (name) {
      var value = facts[name];
      if (name.slice(0, 2) === "on") node.addEventListener(name.slice(2), value);
      else if (value === true) node.setAttribute(name, "");
      else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value);
    });
    (children || []).forEach(function (child) { if (child) node.append(child); });
    return node;
  }

  function button(label, work, spoken) {
    return make("button", { type: "button", class: "lsh-button lsh-button-small", onclick: work, "aria-label": spoken }, [label]);
  }

  function say(words) {
    $("said").textContent = words;
  }

  function targetOf(name) {
    return data.targets.find(function (one) { return one.name === name; });
  }

  // --- raw fields -----------------------------------------------------------------------------------------------

  /* What is used is asked of the preview no sooner than it is published: rows of the draft count by their source. */
  function usedBy(field) {
    var found = field.used_by.filter(function (target) {
      if (target === "remote_id") return true;
      var row = draft.inForce(target.split(".")[0] === "custom" ? target : target.split(".")[0]);
      return row && !R.leavesOut(row);
    });
    draft.rows.forEach(function (row) {
      if ((row.source === field.path || row.name_source === field.path) && found.indexOf(row.target) < 0) found.push(row.target);
    });
    return found;
  }

  function showFields() {
    var wanted = $("filter").value.toLowerCase(), unused = $("unused").checked, shown = [];
    fields.forEach(function (field) {
      var used = usedBy(field);
      var words = [field.path].concat(field.examples, used).join(" ").toLowerCase();
      if (words.indexOf(wanted) < 0 || (unused && used.length)) return;
      shown.push(showField(field, used));
    });
    if (!shown.length) shown.push(make("li", { class: "lsh-small" }, [fields.length ? "Nothing fits." : "Nothing to show yet."]));
    $("fields").replaceChildren.apply($("fields"), shown);
  }

  function showField(field, used) {
    var bar = make("i", {});
    bar.style.width = field.coverage_percent + "%";
    var proposal = field.proposal && !used.length ? field.proposal : null;
    var taken = proposal && !proposal.custom && draft.inForce(proposal.row.target) && !R.leavesOut(draft.inForce(proposal.row.target));
    var chips = used.map(function (target) {
      if (target === "remote_id") return make("span", { class: "mapping-badge" }, ["remote id"]);
      var top = target.indexOf("custom.") === 0 ? target : target.split(".")[0];
      return button("→ " + target, function () { edit(top); }, "Edit " + target);
    });
    if (proposal && !taken) {
      chips.push(button("Add as " + proposal.row.target, function () { add(proposal.row); }, "Add " + field.path + " as " + proposal.row.target));
    }
    return make("li", {}, [
      make("div", { class: "mapping-line" }, [
        make("span", {}, [make("code", {}, [field.path]), " ", make("span", { class: "lsh-small" }, [field.kind || "empty"])]),
        make("span", { class: "lsh-small" }, [field.coverage_percent + " % filled"]),
      ]),
      make("div", { class: "lsh-bar", "aria-hidden": "true" }, [bar]),
      make("div", { class: "mapping-examples" }, field.examples.map(function (one) { return make("code", {}, [one]); })),
      chips.length ? make("div", { class: "mapping-chips" }, chips) : null,
    ]);
  }

  function add(row) {
    draft.put(R.copy(row));
    say(row.target + " is made from " + row.source + " now.");
    changed();
    edit(row.target);
  }

  // --- rows -----------------------------------------------------------------------------------------------------

  function showRows() {
    var targets = draft.targets();
    $("rows").replaceChildren.apply($("rows"), targets.map(showRow));
    var own = draft.rows.length;
    $("count").textContent = targets.length + " rows, " + own + " of this connection";
    showNew(targets);
  }

  function showNew(targets) {
    var free = data.targets.filter(function (one) { return targets.indexOf(one.name) < 0; });
    var options = free.map(function (one) { return make("option", { value: one.name }, [one.name + " (" + one.kind + ")"]); });
    options.push(make("option", { value: "custom." }, ["a custom field"]));
    $("new").replaceChildren.apply($("new"), options);
    askName();
  }

  function askName() {
    $("name").hidden = $("new").value !== "custom.";
  }

  function showRow(target) {
    var row = draft.inForce(target), state = draft.state(target), told = errors[target] || [];
    var is = "mapping-" + (state === "left out" ? "out" : state === "default" ? "default" : "changed");
    var toggle = button(open === target ? "Close" : "Edit", function () { edit(open === target ? null : target, target); }, (open === target ? "Close " : "Edit ") + target);
    toggle.setAttribute("aria-expanded", String(open === target));
    toggle.dataset.edit = target;
    return make("li", { class: is, "data-target": target }, [
      make("div", { class: "mapping-line" }, [
        make("span", {}, [make("code", {}, [target]), " ", make("span", { "data-summary": true, class: "lsh-small" }, [summary(row, state)])]),
        make("span", {}, [make("span", { class: "mapping-badge" }, [state]), " ", toggle]),
      ]),
      make("div", { "data-errors": true, class: "lsh-error-text", role: "alert" }, told.map(function (one) { return make("p", {}, [one]); })),
      open === target ? rowForm(target) : null,
    ]);
  }

  function summary(row, state) {
    if (state === "left out") return "left out";
    var steps = (row.transforms || []).map(function (one) { return (data.transforms[one.name] || { title: one.name }).title; });
    var inside = row.items && row.items.length ? " with " + row.items.length + " inside" : "";
    return ["← " + (row.source || "nothing") + inside].concat(steps).join(", ");
  }

  function edit(target, back) {
    open = target;
    showRows();
    var place = form.querySelector(target ? "li[data-target=" + JSON.stringify(target) + "] .mapping-form input" : "[data-edit=" + JSON.stringify(back) + "]");
    if (place) {
      place.focus();
      place.scrollIntoView({ block: "nearest" });
    }
  }

  function rowForm(target) {
    var row = R.copy(draft.inForce(target)), spec = targetOf(target), custom = target.indexOf("custom.") === 0;
    if (R.leavesOut(row)) row = R.copy(draft.default(target) || { target: target, source: "" });
    function set(name, value) {
      var own = draft.editable(target);
      if (value === undefined || value === "" && name !== "source" || value === false) delete own[name]; else own[name] = value;
      if (!("source" in own)) own.source = "";
      row = own;
      changed(target);
    }
    var parts = [];
    if (spec && spec.help) parts.push(make("p", { class: "lsh-small" }, [spec.help + (spec.values.length ? " One of: " + spec.values.join(", ") + "." : "")]));
    parts.push(input("Made from", row.source, function (value) { set("source", value); }, { list: "mapping-paths", "data-source": true }));
    if (spec && spec.kind === "reference") parts.push(input("Its name from", row.name_source, function (value) { set("name_source", value); }, { list: "mapping-paths" }));
    if (custom) {
      parts.push(input("Title", row.title, function (value) { set("title", value); }, { maxlength: 80 }));
      parts.push(choice("Type", [["", "as it is"]].concat(data.types.map(function (one) { return [one, one]; })), row.type || "", function (value) { set("type", value); }));
    }
    if (!spec || ["list", "object"].indexOf(spec.kind) < 0) {
      parts.push(steps(row.transforms || [], function (value) { set("transforms", value.length ? value : undefined); }));
    } else {
      parts.push(inside(row.items || [], function (value) { set("items", value); }));
    }
    parts.push(make("label", { class: "mapping-check" }, [
      make("input", { type: "checkbox", checked: Boolean(row.read_only), onchange: function () { set("read_only", this.checked); } }),
      "Never written to the system",
    ]));
    parts.push(rowButtons(target));
    return make("div", { class: "mapping-form", role: "group", "aria-label": target }, parts);
  }

  function rowButtons(target) {
    var state = draft.state(target), buttons = [];
    if (state === "override" || state === "left out") buttons.push(button("Back to default", function () { draft.drop(target); changed(); edit(null, target); }, "Back to default: " + target));
    if (state !== "left out" && draft.default(target)) buttons.push(button("Leave out", function () { draft.put({ target: target }); changed(); edit(null, target); }, "Leave out " + target));
    if (state === "added") buttons.push(button("Remove", function () { draft.drop(target); open = null; say(target + " is removed."); changed(); showRows(); $("add").focus(); }, "Remove " + target));
    return make("div", { class: "lsh-buttons" }, buttons);
  }

  function input(label, value, work, facts) {
    var node = make("input", Object.assign({ type: "text", autocomplete: "off", spellcheck: "false" }, facts));
    node.value = value || "";
    node.addEventListener("input", function () { work(node.value.trim()); });
    return make("label", {}, [label, node]);
  }

  function area(label, value, work) {
    var node = make("textarea", { rows: Math.min(10, Math.max(3, value.split("\n").length)), spellcheck: "false" });
    node.value = value;
    node.addEventListener("input", function () { work(node.value); });
    return make("label", {}, [label, node]);
  }

  function choice(label, options, value, work) {
    var node = make("select", {}, options.map(function (one) { return make("option", { value: one[0], selected: one[0] === value }, [one[1]]); }));
    node.addEventListener("change", function () { work(node.value); });
    return make("label", {}, [label, node]);
  }

  // Rows of a list's objects are written as JSON: they have the form of those outside.
  function inside(items, work) {
    var fault = make("p", { class: "lsh-error-text", role: "alert" });
    return make("div", {}, [area("Rows inside, as JSON", JSON.stringify(items, null, 1), function (value) {
      try {
        var read = JSON.parse(value);
        fault.textContent = Array.isArray(read) ? "" : "A list of rows: [{...}, {...}]";
        if (Array.isArray(read)) work(read);
      } catch (error) {
        fault.textContent = "Not JSON yet: " + error.message;
      }
    }), fault]);
  }

  // --- transforms -----------------------------------------------------------------------------------------------

  function steps(given, work) {
    var list = R.copy(given), box = make("fieldset", {});
    function show() {
      var names = Object.keys(data.transforms).map(function (name) { return [name, data.transforms[name].title]; });
      var parts = [make("legend", {}, ["Transforms, in order"])];
      list.forEach(function (step, at) { parts.push(oneStep(step, at)); });
      parts.push(choice("Add a transform", [["", "…"]].concat(names), "", function (name) {
        if (!name) return;
        list.push({ name: name });
        work(R.copy(list));
        show();
        (box.querySelectorAll("fieldset")[list.length - 1].querySelector("input, select, textarea, button") || box).focus();
      }));
      box.replaceChildren.apply(box, parts);
    }
    function oneStep(step, at) {
      var card = data.transforms[step.name] || { title: step.name, help: "", parameters: [] };
      var parts = [make("legend", {}, [card.title]), make("p", { class: "lsh-small" }, [card.help])];
      card.parameters.forEach(function (parameter) {
        parts.push(parameterOf(step, parameter, function () { work(R.copy(list)); }));
      });
      parts.push(button("Take away", function () { list.splice(at, 1); work(R.copy(list)); show(); box.querySelector(":scope > label select").focus(); }, "Take away " + card.title));
      return make("fieldset", {}, parts);
    }
    show();
    return box;
  }

  function parameterOf(step, parameter, told) {
    var value = R.textOf(parameter.kind, step[parameter.name]);
    function set(words) {
      var read = R.valueOf(parameter.kind, words);
      if (read === undefined) delete step[parameter.name]; else step[parameter.name] = read;
      told();
    }
    if (parameter.kind === "choice") return choice(parameter.help, [["", "—"]].concat(parameter.choices.map(function (one) { return [one, one]; })), value, set);
    if (parameter.kind === "table") return area(parameter.help + ": one a line, such as A = active", value, set);
    if (parameter.kind === "list") return area(parameter.help + ": one a line", value, set);
    var node = make("input", { type: "text", spellcheck: "false", autocomplete: "off" });
    node.value = value;
    node.addEventListener("input", function () { set(node.value); });
    return make("label", {}, [parameter.help, node]);
  }

  // --- what follows a change ------------------------------------------------------------------------------------

  function changed(target) {
    text.value = JSON.stringify(draft.rows, null, 2);
    remember();
    showFields();
    if (target) {
      var line = form.querySelector("li[data-target=" + JSON.stringify(target) + "]"), state = draft.state(target);
      line.className = state === "default" ? "mapping-default" : "mapping-changed";
      line.querySelector("[data-summary]").textContent = summary(draft.inForce(target), state);
      line.querySelector(".mapping-badge").textContent = state;
    } else {
      showRows();
    }
    showState();
    later();
  }

  function isChanged() {
    return JSON.stringify(draft.rows) !== published;
  }

  function showState() {
    $("discard").hidden = !isChanged();
    $("state").textContent = isChanged() ? "Not published yet" : "";
  }

  function remember() {
    try {
      if (isChanged()) sessionStorage.setItem(data.draft, JSON.stringify({ base: form.elements.base_version.value, rows: draft.rows }));
      else sessionStorage.removeItem(data.draft);
    } catch (error) {
      $("state").textContent = "This browser keeps no drafts.";
    }
  }

  function remembered() {
    try {
      var kept = JSON.parse(sessionStorage.getItem(data.draft));
      return kept && JSON.stringify(kept.rows) !== published ? kept : null;
    } catch (error) {
      return null;
    }
  }

  function load(rows) {
    draft.load(rows);
    open = null;
    errors = {};
    changed();
  }

  // --- preview --------------------------------------------------------------------------------------------------

  function later() {
    clearTimeout(timer);
    timer = setTimeout(preview, WAIT_MS);
  }

  function preview() {
    if (request) request.abort();
    request = new AbortController();
    var body = new FormData(), sent = R.copy(draft.rows), ours = request;
    body.set("csrfmiddlewaretoken", form.elements.csrfmiddlewaretoken.value);
    body.set("rows", JSON.stringify(sent));
    body.set("remote_ids", $("remote-ids").value);
    $("preview-state").textContent = "Looking…";
    fetch(form.dataset.preview, { method: "POST", body: body, signal: ours.signal, headers: { Accept: "application/json" } })
      .then(function (answer) {
        if (!answer.ok) throw new Error("The server answered " + answer.status + ".");
        return answer.json();
      })
      .then(function (told) {
        showErrors(told.errors || [], sent);
        if (told.data) showTrials(told.data);
        else $("preview-state").textContent = "The rows above cannot be used yet.";
      })
      .catch(function (error) {
        if (error.name !== "AbortError") $("preview-state").textContent = "No preview: " + error.message;
      });
  }

  // "/rows/3/transforms/0/by" is about the fourth row that was sent.
  function showErrors(found, sent) {
    errors = {};
    found.forEach(function (one) {
      var at = /^\/rows\/(\d+)(.*)$/.exec(one.pointer), row = at && sent[Number(at[1])];
      var target = row && row.target || "";
      (errors[target] = errors[target] || []).push((at && at[2] ? at[2].slice(1) + ": " : "") + one.detail);
    });
    form.querySelectorAll("li[data-target]").forEach(function (line) {
      var told = errors[line.dataset.target] || [], place = line.querySelector("[data-errors]");
      place.replaceChildren.apply(place, told.map(function (one) { return make("p", {}, [one]); }));
    });
    if (errors[""]) say(errors[""].join(" "));
    form.querySelector("button[name=save]").disabled = found.length > 0;
  }

  function showTrials(found) {
    var differ = found.filter(function (one) { return one.changed.length; }).length;
    var failed = found.filter(function (one) { return one.error; }).length;
    $("preview-state").textContent = !found.length ? "Nothing is stored to try it on." :
      differ + " of " + found.length + " differ" + (failed ? ", " + failed + " cannot be mapped" : "") + ". Nothing was asked of the system.";
    $("preview-rows").replaceChildren.apply($("preview-rows"), found.map(showTrial));
  }

  function showTrial(one) {
    var parts = [make("div", { class: "mapping-line" }, [
      make("span", {}, [make("strong", {}, [one.remote_id]), one.quarantined ? make("span", { class: "lsh-small" }, [" set aside"]) : null]),
      make("span", { class: "lsh-small" }, [one.error ? "" : one.changed.length ? one.changed.length + " changed" : "as before"]),
    ])];
    if (one.error) parts.push(make("p", { class: "lsh-error-text" }, [(one.error_before ? "" : "Could be mapped before. ") + one.error]));
    else if (one.error_before) parts.push(make("p", { class: "lsh-small" }, ["Mended. Before: " + one.error_before]));
    if (!one.error && one.changed.length) {
      var list = [];
      one.changed.forEach(function (name) {
        var before = valueAt(one.before, name), after = valueAt(one.after, name);
        list.push(make("dt", {}, [make("code", {}, [name])]));
        list.push(make("dd", {}, [one.before ? make("del", {}, [before]) : null, one.before ? " → " : null, make("ins", {}, [after])]));
      });
      parts.push(make("dl", {}, list));
    }
    return make("div", { class: "mapping-trial" }, parts);
  }

  function valueAt(unified, name) {
    if (!unified) return "";
    var custom = name.indexOf("custom.") === 0;
    var value = custom ? (unified.custom || {})[name.slice(7)] : unified[name];
    if (value === undefined || value === null) return "nothing";
    return typeof value === "string" ? value : JSON.stringify(value, null, 1);
  }

  // --- how far it is applied ------------------------------------------------------------------------------------

  function watch() {
    var line = document.getElementById("mapping-progress");
    if (!line || !("active" in line.dataset)) return;
    setTimeout(function () {
      fetch(line.dataset.address, { headers: { Accept: "application/json" } })
        .then(function (answer) { return answer.ok ? answer.json() : null; })
        .then(function (told) {
          if (!told) return;
          var words = line.querySelector("[data-text]"), run = line.querySelector("[data-run]");
          if (words.textContent !== told.text) words.textContent = told.text;
          words.className = told.failed ? "lsh-error-text" : "";
          run.hidden = !told.address;
          run.href = told.address;
          if (!told.active) delete line.dataset.active;
          watch();
        })
        .catch(watch);
    }, ASK_MS);
  }

  // --- begin ----------------------------------------------------------------------------------------------------

  function begin() {
    form.querySelectorAll("[data-editor], [data-import-label]").forEach(function (node) { node.hidden = false; });
    form.append(make("datalist", { id: "mapping-paths" }, fields.map(function (one) { return make("option", { value: one.path }, []); })));
    $("filter").addEventListener("input", showFields);
    $("unused").addEventListener("change", showFields);
    $("remote-ids").addEventListener("input", later);
    $("add").addEventListener("click", addRow);
    $("new").addEventListener("change", askName);
    $("discard").addEventListener("click", function () { load(data.override); say("Your changes are gone."); });
    $("recover").addEventListener("click", function () { load(remembered().rows); this.hidden = true; });
    $("import").addEventListener("change", importFile);
    text.addEventListener("change", readText);
    // The filters and ids are no part of what is sent, and Enter in them must not publish.
    form.addEventListener("keydown", function (event) {
      if (event.key === "Enter" && event.target.matches("input") && event.target.name !== "reason") event.preventDefault();
    });
    form.addEventListener("submit", function () { try { sessionStorage.removeItem(data.draft); } catch (error) { say("This browser keeps no drafts."); } });
    if (data.failed) readText();
    $("recover").hidden = data.failed || !remembered();
    showFields();
    showRows();
    showState();
    preview();
    watch();
  }

  function addRow() {
    var target = $("new").value;
    if (target === "custom.") {
      target += $("name").value.trim();
      if (target === "custom.") return $("name").focus();
      $("name").value = "";
    }
    if (draft.inForce(target)) edit(target); else add({ target: target, source: "" });
  }

  function readText() {
    try {
      var rows = JSON.parse(text.value || "[]");
      rows = Array.isArray(rows) ? rows : rows.rows;
      if (Array.isArray(rows) && rows.every(function (one) { return one && typeof one.target === "string"; })) load(rows);
      else say("The override is a JSON list of rows.");
    } catch (error) {
      say("The text is not JSON yet: " + error.message);
    }
  }

  function importFile() {
    var file = this.files[0];
    if (!file) return;
    file.text().then(function (found) {
      text.value = found;
      readText();
      say(file.name + " is loaded; look at the preview, then publish.");
    });
    this.value = "";
  }

  begin();
})();
