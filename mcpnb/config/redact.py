"""What must not be shown, and how it reads instead: •••.

Owns the rules by which a name, an argument or a part of a URL counts as a secret. It knows no server and
no file. When in doubt it hides: a hidden word costs a second look, a shown token costs a new token.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from urllib.parse import quote, quote_plus, unquote, unquote_plus, urlsplit

__all__ = [
    "MASK",
    "arguments",
    "looks_secret",
    "redact",
    "secret_parts",
    "shown_url",
    "sounds_secret",
    "url_secrets",
    "worth_hiding",
]

MASK = "•••"

_SECRET_WORDS = frozenset({
    "apikey", "apikeys", "auth", "authorization", "authtoken", "bearer", "cookie", "cred", "creds",
    "credential", "credentials", "dsn", "jwt", "key", "keys", "pass", "passphrase", "passwd", "password",
    "passwords", "pat", "pin", "private", "pwd", "sas", "secret", "secrets", "session", "sig", "signature",
    "token", "tokens",
})  # fmt: skip
_SECRET_ENDS = ("token", "secret", "password", "passwd", "apikey", "credentials")
_PLAIN_WORDS = frozenset({
    "true", "false", "none", "null", "auto", "debug", "info", "warning", "warn", "error", "critical",
    "trace", "verbose", "development", "production", "staging", "test", "local", "localhost", "utf-8",
    "utf8", "c.utf-8", "application/json", "text/event-stream", "node", "python", "default",
})  # fmt: skip
_TOKEN_PREFIX = re.compile(
    r"(sk|pk|rk|ghp|gho|ghs|ghu|ghr|github_pat|glpat|xox[abeprs]|xapp|hf|npm|pypi|shpat|dop_v1|lin_api|ntn|AKIA|ASIA|AIza|ya29|eyJ)"
    r"[-_.A-Za-z0-9](?=[^\s]*[0-9A-Z])\S{7,}"
)
_LONG_RUN = re.compile(r"(?=[A-Za-z]*[0-9])(?=[0-9]*[A-Za-z])[A-Za-z0-9]{20,}")
_UUID = re.compile(r"(?i)[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S+")
_SCHEME = re.compile(r"(?i)\b(?:bearer|basic|digest)\s+(\S+)")
_PAIR = re.compile(r"-{0,2}([A-Za-z_][\w.-]*)\s*[=:]\s*(?!//)(.+)", re.DOTALL)
_PLAIN_FLAG = re.compile(r"--[a-z][a-z0-9-]*(=.*)?", re.DOTALL)
_ENV_FLAGS = frozenset({"-e", "--env", "-H", "--header", "--headers"})
"""Options whose value is a variable or a header: what follows its name is hidden whatever the name."""


def sounds_secret(name: str) -> bool:
    """Whether a variable, option or header of this name is likely to hold a secret."""
    words = [w.lower() for w in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+|[0-9]+", name)]
    return any(w in _SECRET_WORDS or w.endswith(_SECRET_ENDS) for w in words)


def looks_secret(text: str) -> bool:
    """Whether a text by itself looks like a token: a known prefix, a long mixed run, a UUID."""
    return bool(_TOKEN_PREFIX.match(text) or _LONG_RUN.search(text) or _UUID.fullmatch(text))


def worth_hiding(name: str, value: str) -> bool:
    """Whether the value of `name` must be searched for in free text.

    Values such as `true`, `8080` or `debug` are not: taking them out would make every text unreadable.
    (In a repr they are hidden all the same, because there they are known by their place.)
    """
    if sounds_secret(name):
        return len(value) >= 3
    plain = value.lower() in _PLAIN_WORDS or (value.isdigit() and len(value) <= 5)
    return len(value) >= 4 and not plain


def redact(text: str, secrets: Iterable[str]) -> str:
    """`text` with every occurrence of every secret replaced by •••.

    Also found: the forms a secret takes inside URLs, JSON, HTML and Python reprs. The result contains no
    non-empty secret, whatever its length (secrets made of • alone excepted).
    """
    pattern = _pattern(frozenset(secrets))
    return pattern.sub(MASK, text) if pattern else text


@lru_cache(maxsize=256)
def _pattern(secrets: frozenset[str]) -> re.Pattern[str] | None:
    forms = {form for secret in secrets for form in _forms(secret) if form.strip("•")}
    if not forms:
        return None
    # Longest first, so that a secret that contains another goes as a whole.
    return re.compile("|".join(re.escape(form) for form in sorted(forms, key=len, reverse=True)))


def _forms(secret: str) -> set[str]:
    spoken = secret.encode("utf-8", "replace").decode("utf-8")
    quoted = {quote(spoken), quote(spoken, safe=""), quote_plus(spoken)}
    escaped = {json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1], repr(secret)[1:-1]}
    return {secret, html.escape(secret), *quoted, *escaped}


def shown_url(url: str, *, mark: bool = False) -> str:
    """A URL for display: without userinfo, query and fragment, path segments that look like tokens hidden.

    `mark=True` leaves ••• in the place of what is gone.
    """
    try:
        parts = urlsplit(url)
        _ = parts.port  # not a number: then what stands there may be half of a password
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        return MASK
    user = f"{MASK}@" if mark and "@" in parts.netloc else ""
    query = f"?{MASK}" if mark and (parts.query or parts.fragment) else ""
    path = "".join(_hide(parts.path, _path_spans(parts.path, userinfo="@" in parts.netloc)))
    return f"{parts.scheme}://{user}{host}{path}{query}"


def url_secrets(url: str) -> Iterator[str]:
    """The parts of a URL that must not be shown, as written and decoded."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return
    user, _, password = parts.netloc.rpartition("@")[0].partition(":")
    path = [parts.path[a:b] for a, b in _path_spans(parts.path, userinfo=bool(user or password))]
    for piece in (user, password, *path):
        yield from {piece, unquote(piece)}
    for pair in re.split("[&;]", parts.query):
        name, equals, value = pair.partition("=")
        piece = value if equals else name
        if worth_hiding(name, piece):
            yield from {piece, unquote_plus(piece)}


def arguments(args: Sequence[str]) -> tuple[str, ...]:
    """Command-line arguments for display, with what looks like a secret hidden."""
    return tuple("".join(_hide(arg, spans)) for arg, spans in _argument_spans(args))


def secret_parts(args: Sequence[str]) -> Iterator[str]:
    """The parts of command-line arguments that `arguments` hides."""
    for arg, spans in _argument_spans(args):
        yield from (arg[start:end] for start, end in spans)


Span = tuple[int, int]


def _argument_spans(args: Sequence[str]) -> Iterator[tuple[str, list[Span]]]:
    before = ""
    for arg in args:
        yield arg, _merged(_spans(arg, before))
        before = arg


def _spans(arg: str, before: str) -> Iterator[Span]:
    """What to hide in one argument, given the one before it."""
    if (
        before.startswith("-")
        and "=" not in before
        and sounds_secret(before)
        and not _PLAIN_FLAG.fullmatch(arg)
    ):
        yield 0, len(arg)
    pair = _PAIR.fullmatch(arg)
    if pair and (sounds_secret(pair[1]) or before in _ENV_FLAGS):
        yield pair.span(2)
    for match in _SCHEME.finditer(arg):
        yield match.span(1)
    for match in _URL.finditer(arg):
        yield from ((match.start() + a, match.start() + b) for a, b in _url_spans(match[0]))
    if "://" not in arg:
        yield from _path_spans(arg)


def _url_spans(url: str) -> Iterator[Span]:
    start = url.index("://") + 3
    stop = next((i for i in range(start, len(url)) if url[i] in "/?#"), len(url))
    at = url.rfind("@", start, stop)
    if at >= 0:
        yield start, at
    query = url.find("?", stop)
    path_end = len(url) if query < 0 else query
    yield from ((stop + a, stop + b) for a, b in _path_spans(url[stop:path_end], userinfo=at >= 0))
    if query >= 0:
        yield query + 1, len(url)


def _path_spans(path: str, *, userinfo: bool = False) -> list[Span]:
    """Segments that look like tokens. After userinfo, an @ in the path is a password's unquoted slash."""
    spans = [m.span() for m in re.finditer(r"[^/\\]+", path) if looks_secret(m[0])]
    return [(0, path.rindex("@")), *spans] if userinfo and "@" in path else spans


def _merged(spans: Iterable[Span]) -> list[Span]:
    merged: list[Span] = []
    for start, end in sorted(span for span in spans if span[0] < span[1]):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _hide(text: str, spans: Iterable[Span]) -> Iterator[str]:
    position = 0
    for start, end in _merged(spans):
        yield text[position:start]
        yield MASK
        position = end
    yield text[position:]
