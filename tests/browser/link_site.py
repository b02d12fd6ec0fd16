"""Somebody else's product, as far as Link sees it: a page that opens the popup, and an address to return to."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

PAGE = """<!doctype html><meta charset="utf-8"><title>Product</title>
<link rel="icon" href="data:,">
<button id="connect">Connect your ERP</button> <output id="told">nothing yet</output>
<script src="{script}"></script>
<script>
  const told = document.getElementById("told");
  document.getElementById("connect").addEventListener("click", () => Lineshaft.link({{
    url: "{link}",
    onSuccess: result => {{ told.textContent = "success " + JSON.stringify(result); }},
    onExit: result => {{ told.textContent = "exit " + JSON.stringify(result); }},
  }}));
</script>"""


@dataclass
class ProductSite:
    """On a free loopback port of its own: another origin than ours."""

    origin: str
    script: str = ""
    link: str = ""
    returned: list[str] = field(default_factory=list)

    @property
    def redirect_uri(self) -> str:
        return f"{self.origin}/linked?plan=gold"

    def answer(self) -> dict[str, str]:
        """What the last visitor was sent back with."""
        return {name: values[0] for name, values in parse_qs(urlsplit(self.returned[-1]).query).items()}


@contextmanager
def product_site() -> Iterator[ProductSite]:
    class Pages(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.startswith("/linked"):
                site.returned.append(self.path)
                text = '<!doctype html><link rel="icon" href="data:,"><h1>Welcome back</h1>'
            else:
                text = PAGE.format(script=site.script, link=site.link)
            content = text.encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Not to the terminal."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    site = ProductSite(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
