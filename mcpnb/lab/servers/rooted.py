"""Files below one folder, and nothing else, whatever a path says and whoever changes the folder meanwhile.

It owns the rules for paths and the way to open them. It knows no MCP.

A path is walked one name at a time from a descriptor of the root, and no step follows a link, so there is no
moment between a check and its use. The names themselves must mean the same everywhere: what another system, a
URL decoder or a Unicode normaliser would read as another path is turned down before anything is opened.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import unicodedata
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal
from urllib.parse import unquote

from typing_extensions import TypedDict

from mcpnb.errors import McpnbError
from mcpnb.lab.servers.refusal import Refused

__all__ = ["Entry", "FileText", "Listing", "Rooted", "Written", "names_in"]

MAX_PATH = 1024
"""Characters of a path."""

MAX_NAME = 255
"""Bytes of one name, the bound of common file systems."""

_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)
# Not blocking: opening a pipe that somebody slipped in must not wait for its writer.
_FILE = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
_FRESH = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)

_DEVICES = frozenset(
    ["con", "prn", "aux", "nul", "conin$", "conout$", "clock$"]
    + [f"{port}{n}" for port in ("com", "lpt") for n in "0123456789¹²³"]
)
"""Names that are devices on Windows, with any extension."""

_OVERLONG = re.compile(r"%(25)*(c[01]|f[5-9a-f]|e0%(25)*[89]|f0%(25)*8)", re.IGNORECASE)
"""Bytes that UTF-8 never has, percent-encoded once or more: careless decoders take them for '/' and '.'."""

_SLASHES = "/\\\u2044\u2215\u2216\u29f5\u29f8\u29f9"
"""What separates names, or looks as if it did."""

Kind = Literal["file", "directory", "link", "other"]


class FileText(TypedDict):
    """A file that was read."""

    path: str
    content: str
    size: int
    modified: str


class Written(TypedDict):
    """A file that was written."""

    path: str
    size: int
    created: bool


class Entry(TypedDict):
    """One name in a folder; `size` in bytes, null for what is no file."""

    name: str
    kind: Kind
    size: int | None


class Listing(TypedDict):
    """What is in a folder, by name; `truncated` when there is more."""

    path: str
    entries: list[Entry]
    truncated: bool


def names_in(path: str) -> list[str]:
    """The names that lead from the root to a path; none for the root itself.

    Raises:
        Refused: The path is absolute, climbs, is too long, or holds a name that not every system
            reads alike.
    """
    if not path:
        raise Refused("the path is empty; '.' is the root")
    if len(path) > MAX_PATH:
        raise Refused(f"the path has {len(path)} characters; at most {MAX_PATH} are taken")
    if path.startswith("/"):
        raise Refused(f"{path!r} is an absolute path; paths begin at the root of this server")
    names = [name for name in path.split("/") if name not in {"", "."}]
    for name in names:
        if wrong := _wrong_with(name):
            raise Refused(f"{path!r} is turned down: {wrong}")
    return names


def _wrong_with(name: str) -> str | None:
    """Why a name is not accepted. The rules are those of the strictest system, so that all agree."""
    if name == "..":
        return "'..' would leave the folder that it stands in"
    if any(ord(sign) < 32 or ord(sign) == 127 for sign in name):
        return "it holds a control character"
    if bad := sorted(set(name) & set('\\:*?"<>|')):
        return f"{' '.join(bad)} has a meaning of its own on some systems"
    if name != name.rstrip(". ") or name != name.lstrip(" "):
        return "a name that begins with a space, or ends in a space or a dot, is another name on some systems"
    if name.partition(".")[0].strip().casefold() in _DEVICES:
        return f"{name!r} is a device on some systems"
    return _wrong_when_read_otherwise(name)


def _wrong_when_read_otherwise(name: str) -> str | None:
    try:
        length = len(name.encode())
    except UnicodeEncodeError:
        return "it is not valid Unicode"
    if length > MAX_NAME:
        return f"a name has {length} bytes; at most {MAX_NAME} are taken"
    if any(unicodedata.category(sign) in {"Cf", "Zl", "Zp"} for sign in name):
        return "it holds characters that nobody sees"
    if name != unicodedata.normalize("NFC", name):
        return "it is not in Unicode's composed form (NFC)"
    if _OVERLONG.search(name) or any(map(_is_a_path, [unicodedata.normalize("NFKC", name), *_decoded(name)])):
        return "decoded, it is a path of its own"
    return None


def _decoded(name: str) -> Iterator[str]:
    """What percent-decoding makes of a name, again and again: byte for byte, and as UTF-8 made plain."""
    while (plain := unquote(name, encoding="latin-1")) != name:
        yield plain
        yield unicodedata.normalize("NFKC", unquote(name))
        name = plain


def _is_a_path(name: str) -> bool:
    return name in {".", ".."} or any(sign in _SLASHES or ord(sign) < 32 for sign in name)


class Rooted:
    """The files below `root`. Safe to use from several threads.

    Args:
        root: The folder; links in this path itself are followed, once.
        max_bytes: Size of the largest file that is read or written.
        max_entries: Length of the longest listing.
        token: Makes the name of a temporary file unique.

    Raises:
        McpnbError: There is no such folder, or this system cannot open files relative to one.
    """

    def __init__(
        self,
        root: Path,
        *,
        max_bytes: int = 1_000_000,
        max_entries: int = 1_000,
        token: Callable[[], str] = lambda: os.urandom(8).hex(),
    ) -> None:
        if os.open not in os.supports_dir_fd or not hasattr(os, "O_NOFOLLOW"):
            raise McpnbError("the filesystem server needs a system that opens files relative to a folder")
        if max_bytes < 1 or max_entries < 1:
            raise McpnbError("max_bytes and max_entries must be at least 1")
        try:
            self._root = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise McpnbError(f"cannot serve {str(root)!r}: {error.strerror}") from error
        self._max_bytes, self._max_entries, self._token = max_bytes, max_entries, token

    def close(self) -> None:
        """Let go of the folder. Closing twice is fine."""
        root, self._root = self._root, -1
        if root >= 0:
            os.close(root)

    def read(self, path: str) -> FileText:
        """The text of a file.

        Raises:
            Refused: The path is not accepted, is no regular file, is too large, or holds no UTF-8 text.
        """
        names = self._file_names(path)
        with _told(path), self._folder(names[:-1], path) as folder:
            _require_spelling(folder, names[-1], path)
            self._require_file(os.lstat(names[-1], dir_fd=folder), path)
            descriptor = os.open(names[-1], _FILE, dir_fd=folder)
            with os.fdopen(descriptor, "rb") as file:
                facts = os.fstat(descriptor)
                self._require_file(facts, path)  # it may have become another since
                _require_one_name(facts, path)
                content = file.read(self._max_bytes + 1)
        self._require_size(len(content), path)
        modified = datetime.fromtimestamp(facts.st_mtime, UTC).isoformat(timespec="seconds")
        return FileText(
            path="/".join(names), content=_text(content, path), size=len(content), modified=modified
        )

    def write(self, path: str, content: str) -> Written:
        """Replace a file in one step, or create it with the folders that lead to it.

        Whoever reads meanwhile sees the old text or the new one, also after a power cut.

        Raises:
            Refused: The path is not accepted, is something else than a file, or the text is too large.
        """
        names = self._file_names(path)
        try:
            data = content.encode()
        except UnicodeEncodeError:
            raise Refused("the content is not valid Unicode") from None
        self._require_size(len(data), path)
        with _told(path), self._folder(names[:-1], path, create=True) as folder:
            _require_spelling(folder, names[-1], path, may_be_new=True)
            mode = self._mode_of(folder, names[-1], path)
            self._replace(folder, names[-1], data, 0o644 if mode is None else mode)
        return Written(path="/".join(names), size=len(data), created=mode is None)

    def entries(self, path: str = ".") -> Listing:
        """What is in a folder.

        Raises:
            Refused: The path is not accepted, or is no folder.
        """
        names = names_in(path)
        with _told(path), self._folder(names, path) as folder:
            found = sorted(os.listdir(folder))  # noqa: PTH208 - by descriptor
            entries = [entry for name in found[: self._max_entries] if (entry := _entry(folder, name))]
        return Listing(path="/".join(names) or ".", entries=entries, truncated=len(found) > self._max_entries)

    @staticmethod
    def _file_names(path: str) -> list[str]:
        names = names_in(path)
        if not names or path.endswith("/"):
            raise Refused(f"{path!r} names a folder, not a file")
        return names

    @contextmanager
    def _folder(self, names: Sequence[str], path: str, *, create: bool = False) -> Generator[int]:
        """A descriptor of the folder that the names lead to."""
        here = os.dup(self._root)
        try:
            for name in names:
                _require_spelling(here, name, path, may_be_new=create)
                there = _enter(here, name, path, create=create)
                os.close(here)
                here = there
            yield here
        finally:
            os.close(here)

    def _require_file(self, facts: os.stat_result, path: str) -> None:
        if stat.S_ISLNK(facts.st_mode):
            raise Refused(f"{path!r} is a link, and links are not followed")
        if stat.S_ISDIR(facts.st_mode):
            raise Refused(f"{path!r} is a folder; directory.list shows what is in it")
        if not stat.S_ISREG(facts.st_mode):
            raise Refused(f"{path!r} is no regular file")
        self._require_size(facts.st_size, path)

    def _require_size(self, size: int, path: str) -> None:
        if size > self._max_bytes:
            raise Refused(f"{path!r} has {size} bytes or more; this server handles up to {self._max_bytes}")

    def _mode_of(self, folder: int, name: str, path: str) -> int | None:
        """The permissions of the file to be replaced; None when there is none."""
        try:
            facts = os.lstat(name, dir_fd=folder)
        except FileNotFoundError:
            return None
        if not stat.S_ISREG(facts.st_mode):
            self._require_file(facts, path)
        return stat.S_IMODE(facts.st_mode) & 0o777

    def _replace(self, folder: int, name: str, data: bytes, mode: int) -> None:
        # A link put in the file's place meanwhile is replaced, not followed: that is what rename does.
        temporary = f".{self._token()}.tmp"
        descriptor = os.open(temporary, _FRESH, 0o600, dir_fd=folder)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fchmod(descriptor, mode)
                os.fsync(descriptor)
            os.replace(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary, dir_fd=folder)
            raise
        os.fsync(folder)


def _require_one_name(facts: os.stat_result, path: str) -> None:
    """A hard link looks like any file; its other name may lie outside. Writing is safe: it cuts the link."""
    if facts.st_nlink > 1:
        raise Refused(f"{path!r} has another name too (a hard link), which may lie outside this folder")


def _enter(here: int, name: str, path: str, *, create: bool) -> int:
    if create:
        with contextlib.suppress(FileExistsError):
            os.mkdir(name, 0o755, dir_fd=here)
    try:
        return os.open(name, _FOLDER, dir_fd=here)
    except NotADirectoryError:
        # Not followed, a link to a folder is no folder; say which of the two it is.
        is_link = stat.S_ISLNK(os.lstat(name, dir_fd=here).st_mode)
        what = "a link, and links are not followed" if is_link else "no folder"
        raise Refused(f"{path!r} is turned down: {name!r} is {what}") from None


def _require_spelling(folder: int, name: str, path: str, *, may_be_new: bool = False) -> None:
    """Where upper and lower case are the same, one file must not have two names; nor look as if it had."""
    present = os.listdir(folder)
    if name in present:
        return
    for other in present:
        if _alike(other) == _alike(name):
            raise Refused(f"{path!r} is turned down: {name!r} is spelt {other!r} here")
    if not may_be_new:
        raise Refused(f"there is no {path!r}")


def _alike(name: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


def _entry(folder: int, name: str) -> Entry | None:
    try:
        facts = os.lstat(name, dir_fd=folder)
    except FileNotFoundError:
        return None  # gone since it was listed
    is_file = stat.S_ISREG(facts.st_mode)
    # A name may be any bytes; what is no text is shown, and cannot be asked for.
    shown = name.encode(errors="surrogateescape").decode(errors="replace")
    return Entry(name=shown, kind=_kind(facts.st_mode), size=facts.st_size if is_file else None)


def _kind(mode: int) -> Kind:
    if stat.S_ISREG(mode):
        return "file"
    if stat.S_ISDIR(mode):
        return "directory"
    return "link" if stat.S_ISLNK(mode) else "other"


@contextmanager
def _told(path: str) -> Generator[None]:
    """What the system objects to becomes a refusal."""
    try:
        yield
    except OSError as error:
        raise Refused(f"{path!r}: {error.strerror or 'the system refuses'}") from error


def _text(content: bytes, path: str) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise Refused(f"{path!r} holds no UTF-8 text") from None
