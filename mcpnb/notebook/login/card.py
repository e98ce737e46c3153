"""What an open login looks like, and the line that it leaves behind: plain functions to HTML and text.

It owns what a person must see before he follows a link that a server gave: the host, plainly, and the whole
address. Every word comes from outside and is escaped. It knows no widgets and answers nothing.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final
from urllib.parse import SplitResult, urlsplit

from mcpnb.notebook.login.words import names
from mcpnb.notebook.markup import bundle, cut, escape, shorten, visible
from mcpnb.notebook.markup import name as named
from mcpnb.notebook.servers import Look

if TYPE_CHECKING:
    from mcpnb.auth import LoginRequest

__all__ = [
    "already", "card_html", "card_text", "ended", "host", "may_open", "paste_html", "reason", "still",
    "unasked",
]  # fmt: skip

_NAME: Final = 60
"""Characters of a server's name in a sentence."""
_SCOPES: Final = 12
_UNFIT: Final = "the address is neither https nor on this computer"
_ENDS: Final = {
    "logged_in": Look("✓", "logged in", "good"),
    "failed": Look("✕", "that did not work", "bad"),
    "cancelled": Look("⊘", "cancelled", "dim"),
}


def host(url: str) -> str:
    """Whose page an address is, as a browser would go there: no user, no path, other letters spelt out."""
    parts = _split(url)
    if parts is None or not parts.hostname:
        return "an address that is none"
    bare = parts.hostname
    if not bare.isascii():
        try:
            bare = f"{bare.encode('idna').decode()} ({bare})"
        except UnicodeError:
            return "an address that is none"
    bare = f"[{bare}]" if ":" in bare else bare
    return f"{bare}:{parts.port}" if parts.port else bare


def may_open(url: str) -> bool:
    """Whether an address may become a link: a page of the web over TLS, or one of this computer."""
    parts = _split(url)
    if parts is None or not parts.hostname or url != url.strip() or not url.isprintable():
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and _is_here(parts.hostname))


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - reading it checks it
    except ValueError:
        return None
    return parts


def _is_here(hostname: str) -> bool:
    try:
        return ipaddress.ip_address(hostname).is_loopback
    except ValueError:
        return hostname == "localhost"


def _who(servers: Sequence[str]) -> str:
    return names([shorten(server, _NAME) for server in servers])


def _who_html(servers: Sequence[str]) -> str:
    return named(_who(servers))


def card_html(request: LoginRequest, *, opened: bool = False) -> str:
    """Who wants a login, where, and the link; `opened`: a browser shows that page already."""
    want = "wants" if len(request.servers) == 1 else "want"
    issuer, page = host(request.issuer), host(request.url)
    return (
        f'<h4 class="mcpnb-sub">◌ {_who_html(request.servers)} {want} you to log in</h4>'
        f'<p class="mcpnb-at">{named(issuer)}</p>'
        f"{_elsewhere(issuer, page)}{_link(request.url, page)}"
        f'<p class="mcpnb-small">{_after(opened)}</p>{_scopes(request.scopes)}{_whole(request)}'
    )


def _elsewhere(issuer: str, page: str) -> str:
    if issuer == page:
        return ""
    return (
        f'<p><span class="mcpnb-warn">! Its login page is at another host:</span> <b>{named(page)}</b>. '
        "Log in there only if you know it.</p>"
    )


def _link(url: str, page: str) -> str:
    if not may_open(url):
        return f'<p><span class="mcpnb-bad">✕ No link: {_UNFIT}.</span></p>'
    safe = 'target="_blank" rel="noopener noreferrer"'
    return f'<p><a class="mcpnb-go" href="{escape(url)}" {safe}>Open the login page at {named(page)}</a></p>'


def _after(opened: bool) -> str:
    where = "It is open in your browser" if opened else "It opens in a new tab"
    return f"{where}. When you have logged in there, this goes on by itself."


def _scopes(scopes: Sequence[str]) -> str:
    if not scopes:
        return ""
    shown = " ".join(f"<code>{escape(shorten(scope, _NAME))}</code>" for scope in scopes[:_SCOPES])
    more = f" and {len(scopes) - _SCOPES} more" if len(scopes) > _SCOPES else ""
    return f'<p class="mcpnb-small">You will be asked to allow: {shown}{more}</p>'


def _whole(request: LoginRequest) -> str:
    return (
        '<details><summary><span class="mcpnb-dim">The whole addresses</span></summary>'
        f'<dl class="mcpnb-tree"><dt>issuer</dt><dd>{cut(request.issuer)}</dd>'
        f"<dt>page</dt><dd>{cut(request.url, 2_000)}</dd>"
        f"<dt>back to</dt><dd>{cut(request.redirect_uri)}</dd></dl></details>"
    )


def paste_html(request: LoginRequest) -> str:
    """When and what to paste."""
    back = named(host(request.redirect_uri))
    return (
        f'<p class="mcpnb-small mcpnb-paste">If the page at {back} cannot be reached afterwards, the '
        "notebook runs on another computer. Copy that page's address and paste it here:</p>"
    )


def still(request: LoginRequest) -> dict[str, str]:
    """What a saved notebook keeps of an open login: no address to follow, it works in a running one only."""
    who, at = _who(request.servers), host(request.issuer)
    said = "waited for a login at"
    html = f'<p class="mcpnb-dim">◌ {named(who)} {said} {named(at)}, in a running notebook.</p>'
    return bundle(html, f"◌ {visible(who)} {said} {visible(at)}")


def card_text(request: LoginRequest) -> str:
    """An open login for a notebook without widgets: the link, and the lines that answer."""
    who, page, back = visible(_who(request.servers)), host(request.url), host(request.redirect_uri)
    url = request.url if may_open(request.url) else f"(no link: {_UNFIT})"
    code = f"from getpass import getpass\n    fleet.login({request.server!r}, answer=getpass('address: '))"
    return (
        f"◌ {who}: log in at {visible(host(request.issuer))}\n"
        f"  Open this page at {visible(page)}:\n  {visible(url)}\n"
        f"  If the page at {visible(back)} cannot be reached afterwards, copy its address\n"
        f"  and paste it when this asks for it:\n    {visible(code, lines=True)}"
    )


def reason(error: BaseException) -> str:
    """An error in words, without the server's name that stands there already."""
    text = str(getattr(error, "reason", "") or error).removeprefix("login: ")
    return text[:1].upper() + text[1:]


def already(servers: Sequence[str]) -> dict[str, str]:
    """A line for a login that nobody has to do; no servers: none has one."""
    who = _who(servers) or "no server here has a login"
    said = (" is" if len(servers) == 1 else " are") + " logged in already" if servers else ""
    return bundle(f'<p class="mcpnb-dim">✓ {named(who)}{said}</p>', visible(f"✓ {who}{said}"))


def unasked(servers: Sequence[str], why: str, *, ok: bool) -> dict[str, str]:
    """A line for a login that ended before anybody was asked: it worked, or why not."""
    who, end = _who(servers), _ENDS["logged_in" if ok else "failed"]
    more = "" if ok else f'<span class="mcpnb-dim">: {cut(why)}</span>'
    html = f'<p>{named(who)} <span class="mcpnb-dim">· login:</span> {end.html}{more}</p>'
    return bundle(html, visible(f"{who} · login: {end}" + ("" if ok else f": {why}")))


def ended(request: LoginRequest, said: str = "") -> dict[str, str]:
    """The one line that a login leaves behind; `said` instead of what came of it."""
    who, at = _who(request.servers), host(request.issuer)
    end = Look("⊘", said, "dim") if said else _ENDS.get(request.state, _ENDS["cancelled"])
    why = request.error if request.state == "failed" and not said else None
    html = f'<p>{named(who)} <span class="mcpnb-dim">· login at {named(at)}:</span> {end.html}'
    again = f" To try again: fleet.login({request.server!r})" if why else ""
    more = f'<span class="mcpnb-dim">: {cut(why or "")}{escape(again)}</span>' if why else ""
    text = f"{who} · login at {at}: {end}" + (f": {why}{again}" if why else "")
    return bundle(f"{html}{more}</p>", visible(text))
