"""Those who speak to the platform from outside, and all that they are answered."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Mapping
from html import unescape
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests

SECONDS = 60
_LINK = re.compile(r'(?:href|hx-get|data-url)="([^"#]+)')
_TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')
_NOT_FOLLOWED = ("/admin/logout", "/static/", "/admin/jsi18n")


class Heard:
    """Every answer, by the place it came to: head, body, and the text as people see it (without HTML's escapes)."""

    def __init__(self) -> None:
        self.pieces: dict[str, dict[str, bytes]] = {}
        self.statuses: dict[str, list[int]] = {}

    def note(self, place: str, response: requests.Response) -> requests.Response:
        key = f"{response.request.method} {urlsplit(response.url).path} {response.status_code}"
        headers = "\n".join(f"{name}: {value}" for name, value in response.headers.items() if name != "Set-Cookie")
        text = response.text
        content = f"{headers}\n{text}\n{unescape(text)}".encode()
        pieces = self.pieces.setdefault(place, {})
        pieces[key] = pieces.get(key, b"") + b"\n" + content
        self.statuses.setdefault(place, []).append(response.status_code)
        return response


class Service:
    """A product's backend with a token."""

    def __init__(self, url: str, heard: Heard, token: str | None) -> None:
        self._url, self._heard = f"{url}/api/v1/", heard
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    def call(self, method: str, path: str, *, heard: bool = True, **more: Any) -> requests.Response:
        headers = {**self._headers, **more.pop("headers", {})}
        response = requests.request(method, self._url + path, headers=headers, timeout=SECONDS, **more)
        return self._heard.note("API answers", response) if heard else response

    def get(self, path: str, **more: Any) -> requests.Response:
        return self.call("GET", path, **more)

    def post(self, path: str, json: Any = None, **more: Any) -> requests.Response:
        return self.call("POST", path, json={} if json is None else json, **more)

    def about(self, connection: str) -> Mapping[str, str]:
        return {"X-Connection-Id": connection}


class Browser:
    """A person with cookies, at the admin or at Link (`place`)."""

    def __init__(self, url: str, heard: Heard, place: str) -> None:
        self._url, self._heard, self._place = url, heard, place
        self._session = requests.Session()

    def get(self, path: str) -> requests.Response:
        return self._heard.note(self._place, self._session.get(urljoin(self._url, path), timeout=SECONDS))

    def post(self, path: str, values: Mapping[str, Any], *, on: str | None = None) -> requests.Response:
        """Fill in the form on the page `on` (`path` itself when not told) and follow where it leads."""
        token = _TOKEN.search(self.get(on or path).text)
        data = {**values, **({"csrfmiddlewaretoken": token[1]} if token else {})}
        url = urljoin(self._url, path)
        response = self._session.post(url, data=data, headers={"Referer": url}, timeout=SECONDS)
        return self._heard.note(self._place, response)

    def crawl(self, *, most: int = 400) -> list[str]:
        """Open every page of the admin that links lead to: one of each kind of address and the first rows of each."""
        seen, waiting, by_shape = {"/admin/"}, deque(["/admin/"]), dict[str, int]()
        while waiting and len(seen) < most:
            response = self.get(waiting.popleft())
            for path in _links(response):
                shape = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}|\d+|\?.*", "*", path)
                if path not in seen and by_shape.get(shape, 0) < 6:
                    by_shape[shape] = by_shape.get(shape, 0) + 1
                    seen.add(path)
                    waiting.append(path)
        return sorted(seen)


def _links(response: requests.Response) -> Iterator[str]:
    if "text/html" not in response.headers.get("Content-Type", ""):
        return
    for link in _LINK.findall(response.text):
        parts = urlsplit(urljoin(response.url, unescape(link)))
        is_ours = parts.netloc == urlsplit(response.url).netloc and parts.path.startswith("/admin/")
        if is_ours and not parts.path.startswith(_NOT_FOLLOWED):
            yield parts.path + (f"?{parts.query}" if parts.query else "")
