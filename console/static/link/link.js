/* Lineshaft Link: opens the connect page as a popup and hands its one-time code to your page.
 *
 *   Lineshaft.link({
 *     url: "https://lineshaft.example.com/link/...",        // of POST /api/v1/link-sessions, made with your `origin`
 *     onSuccess: function (result) { ... },                 // {code, state}: send the code to your backend
 *     onExit: function (result) { ... }                     // {reason}: "closed" or "cancelled"
 *   });
 *
 * Call it in the handler of a click, or browsers block the popup. Where it is blocked all the same, the whole page goes
 * to the link, which comes back by the session's redirect_uri. Answers {close()}.
 */
(function (global) {
  "use strict";
  var WIDTH = 560, HEIGHT = 800, LOOK_MS = 400, LAST_WORD_MS = 600;

  function place() {
    var left = Math.max(0, global.screenX + (global.outerWidth - WIDTH) / 2);
    var top = Math.max(0, global.screenY + (global.outerHeight - HEIGHT) / 2);
    return "popup=yes,width=" + WIDTH + ",height=" + HEIGHT + ",left=" + Math.round(left) + ",top=" + Math.round(top);
  }

  function link(options) {
    var page = new URL(options.url, global.location.href);
    if (page.protocol !== "https:" && page.protocol !== "http:") {
      throw new TypeError("Lineshaft.link: url must be the link session's https address");
    }
    var popup = global.open(page.href, "_blank", place());
    if (!popup) {
      global.location.assign(page.href);
      return { close: function () {} };
    }
    var ended = false;
    var looking = global.setInterval(look, LOOK_MS);
    global.addEventListener("message", hear);

    function end(callback, result) {
      if (ended) return;
      ended = true;
      global.clearInterval(looking);
      global.removeEventListener("message", hear);
      if (callback) callback(result);
    }

    function hear(event) {
      var told = event.data;
      if (event.origin !== page.origin || event.source !== popup) return;
      if (!told || told.type !== "lineshaft:link") return;
      if (typeof told.code === "string" && told.code) {
        end(options.onSuccess, { code: told.code, state: told.state });
      } else {
        end(options.onExit, { reason: told.reason || "closed" });
      }
    }

    function look() {
      if (!popup.closed) return;
      global.clearInterval(looking);
      // Its last message may still be on the way.
      global.setTimeout(function () { end(options.onExit, { reason: "closed" }); }, LAST_WORD_MS);
    }

    return { close: function () { popup.close(); } };
  }

  global.Lineshaft = Object.assign(global.Lineshaft || {}, { link: link });
})(window);
