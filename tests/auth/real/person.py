"""A person with a browser: opens a link, logs in where a page asks for it, ends at the client's address."""

from __future__ import annotations

import re
import threading
from typing import ClassVar
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

import httpx2

MAX_STEPS = 12


class Person:
    """Keeps cookies as a browser does, so that one who has logged in is known the next time."""

    browsing: ClassVar[set[int]] = set()
    """The threads in which somebody's browser is at work: what they log is not ours."""

    def __init__(self, name: str = "alice", *, refuses: bool = False) -> None:
        self.name, self.refuses = name, refuses
        self.opened: list[str] = []
        """The links that were opened."""
        self.forge: dict[str, str | None] = {}
        """Parameters of the callback that somebody on the way changes; None for what he takes out."""
        self._jars: dict[str, httpx2.Cookies] = {}

    def browse(self, url: str) -> str:
        """Open a link; the address at which the client gets its answer, which is not opened."""
        self.browsing.add(threading.get_ident())
        try:
            return self._browse(url)
        finally:
            self.browsing.discard(threading.get_ident())

    def _browse(self, url: str) -> str:
        self.opened.append(url)
        home = parse_qs(urlsplit(url).query)["redirect_uri"][0]
        jar = self._jars.setdefault(urlsplit(url).netloc, httpx2.Cookies())
        with httpx2.Client(cookies=jar, verify=False) as browser:  # there are no certificates on loopback
            where, form = url, None
            for _ in range(MAX_STEPS):
                page = browser.post(where, data=form) if form else browser.get(where)
                form = None
                if page.is_redirect:
                    where = urljoin(where, page.headers["location"])
                    if where.startswith(home):
                        self._jars[urlsplit(url).netloc] = browser.cookies
                        return self._forged(where)
                else:
                    action = re.search(r'action="([^"]+)"', page.text)
                    assert action, f"a page without a form: {page.status_code} {page.text[:400]}"
                    where = urljoin(where, action[1])
                    form = {"refuse": "yes"} if self.refuses else {"login": self.name}
        raise AssertionError(f"the browser was sent on for ever, last to {where}")

    def open(self, url: str) -> None:
        """Open a link and follow it to its end, at the client."""
        back = self.browse(url)
        self.browsing.add(threading.get_ident())
        httpx2.get(back, verify=False)
        self.browsing.discard(threading.get_ident())

    def _forged(self, url: str) -> str:
        parts = urlsplit(url)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()} | self.forge
        return parts._replace(query=urlencode({k: v for k, v in query.items() if v is not None})).geturl()
