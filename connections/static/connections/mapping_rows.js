/* What an override is, apart from any page: rows over defaults, and transforms as texts of a form. */
(function (root) {
  "use strict";

  function copy(value) {
    return JSON.parse(JSON.stringify(value));
  }

  // A row with nothing but its target leaves the field out.
  function leavesOut(row) {
    return Object.keys(row).length === 1;
  }

  /* Rows over the defaults: in the order of the defaults, what only the override has after them. */
  function Draft(defaults, override) {
    this.defaults = defaults;
    this.load(override);
  }

  Draft.prototype.load = function (rows) {
    this.rows = copy(rows);
  };
  Draft.prototype.default = function (target) {
    return this.defaults.find(function (row) { return row.target === target; });
  };
  Draft.prototype.own = function (target) {
    return this.rows.find(function (row) { return row.target === target; });
  };
  Draft.prototype.inForce = function (target) {
    return this.own(target) || this.default(target);
  };
  Draft.prototype.targets = function () {
    var draft = this, found = this.defaults.map(function (row) { return row.target; });
    this.rows.forEach(function (row) { if (!draft.default(row.target)) found.push(row.target); });
    return found;
  };
  Draft.prototype.put = function (row) {
    var at = this.rows.findIndex(function (one) { return one.target === row.target; });
    if (at < 0) this.rows.push(row); else this.rows[at] = row;
  };
  Draft.prototype.drop = function (target) {
    this.rows = this.rows.filter(function (row) { return row.target !== target; });
  };
  /* The row to edit: the override's own, made from the default when there is none yet. */
  Draft.prototype.editable = function (target) {
    var own = this.own(target);
    if (own && !leavesOut(own)) return own;
    var made = copy(this.default(target) || { target: target, source: "" });
    this.put(made);
    return this.own(target);
  };
  Draft.prototype.state = function (target) {
    var own = this.own(target);
    if (!own) return "default";
    if (leavesOut(own)) return "left out";
    return this.default(target) ? "override" : "added";
  };

  // --- parameters as texts --------------------------------------------------------------------------------------

  function textOf(kind, value) {
    if (value === undefined || value === null) return "";
    if (kind === "table") return Object.keys(value).map(function (key) { return key + " = " + plain(value[key]); }).join("\n");
    if (kind === "list") return value.map(plain).join("\n");
    return plain(value);
  }

  function plain(value) {
    return typeof value === "string" ? value : JSON.stringify(value);
  }

  /* undefined for an empty text: the parameter is left out then. */
  function valueOf(kind, text) {
    if (kind === "table") return tableOf(text);
    if (kind === "list") return text === "" ? undefined : text.split("\n").map(read);
    if (text === "") return undefined;
    if (kind === "whole_number") return /^-?\d+$/.test(text.trim()) ? Number(text) : text;
    return kind === "any" ? read(text) : text;
  }

  function tableOf(text) {
    var table = {};
    text.split("\n").forEach(function (line) {
      var at = line.lastIndexOf("=");
      if (at > 0) table[line.slice(0, at).trim()] = line.slice(at + 1).trim();
    });
    return Object.keys(table).length ? table : undefined;
  }

  // true, false, null, lists and objects are what they say; everything else is a text.
  function read(text) {
    if (!/^(true|false|null|[[{].*)$/s.test(text)) return text;
    try {
      return JSON.parse(text);
    } catch (error) {
      return text;
    }
  }

  root.MappingRows = { Draft: Draft, copy: copy, leavesOut: leavesOut, textOf: textOf, valueOf: valueOf };
})(typeof window === "undefined" ? globalThis : window);
