"""Where logins are kept: a file that nobody else reads, a keyring, memory; and tokens as values."""

from __future__ import annotations

import asyncio
import json
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.backends import fail, null

from mcpnb.auth import MemoryTokens, store_of
from mcpnb.auth.file_store import FileTokens
from mcpnb.auth.keyring_store import KeyringTokens
from mcpnb.auth.locking import locked
from mcpnb.auth.token import Kept, SteadyTime, Token
from mcpnb.errors import ConfigError

pytestmark = pytest.mark.anyio

TOKEN = Token("access-4711", "https://a.test/mcp", ("read", "write"), 1234.5, 60.0)
KEPT = Kept({"client_id": "x", "client_secret": "s3cr3t-4711"}, "refresh-4711", {"": TOKEN}, binds=True)


class Ring(KeyringBackend):
    """A keyring in memory, behind the real package."""

    priority = 1  # type: ignore[assignment] - what the package's own backends do

    def __init__(self) -> None:
        super().__init__()
        self.held: dict[tuple[str, str], str] = {}
        self.locked = False

    def get_password(self, service: str, username: str) -> str | None:
        if self.locked:
            raise RuntimeError("cannot unlock for access-4711")
        return self.held.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.held[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        del self.held[service, username]


def names(folder: Path) -> list[str]:
    return [each.name for each in folder.iterdir()]


@pytest.fixture
def ring(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Ring]:
    before, ring = keyring.get_keyring(), Ring()
    keyring.set_keyring(ring)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    yield ring
    keyring.set_keyring(before)


@pytest.fixture(params=["memory", "file", "keyring"])
def store(request: pytest.FixtureRequest, tmp_path: Path, ring: Ring):
    return store_of({"memory": "memory", "file": tmp_path / "t.json", "keyring": "keyring"}[request.param])


async def test_a_store_keeps_replaces_and_forgets(store) -> None:
    async with store.alone("k"):
        assert await store.load("k") is None
        await store.save("k", KEPT)
        await store.save("other", Kept())
    assert await store.load("k") == KEPT
    await store.save("k", None)
    await store.save("k", None)
    assert await store.load("k") is None
    assert await store.load("other") == Kept()


async def test_a_second_store_of_the_same_place_sees_it(tmp_path: Path, ring: Ring) -> None:
    for where in (tmp_path / "t.json", "keyring"):
        await store_of(where).save("k", KEPT)
        assert await store_of(where).load("k") == KEPT


async def test_the_file_is_for_its_owner_only_and_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    store = FileTokens(path)
    assert not path.exists()
    await store.save("k", KEPT)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    first = path.stat().st_ino
    await store.save("k", Kept())
    assert path.stat().st_ino != first
    assert names(tmp_path) == ["t.json"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
async def test_a_file_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "t.json"
    await FileTokens(path).save("k", KEPT)
    path.chmod(mode)
    with pytest.raises(ConfigError, match=r"can be read by others.*chmod 600"):
        store_of(path)


@pytest.mark.parametrize(
    "content",
    [
        b"", b"access-4711", b"[]", b'{"version": 9, "logins": {}}', b'{"version": 1}',
        b'{"version": 1, "logins": {"k": "access-4711"}}',
    ],
)  # fmt: skip
async def test_a_file_of_something_else_is_refused_without_being_quoted(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "t.json"
    path.touch(0o600)
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        store_of(path)
    assert "access-4711" not in str(caught.value)
    assert path.read_bytes() == content


async def test_a_failed_write_leaves_the_file_and_nothing_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "t.json"
    store = FileTokens(path)
    await store.save("k", KEPT)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(ConfigError, match="No space left"):
        await store.save("k", Kept())
    assert await store.load("k") == KEPT
    assert names(tmp_path) == ["t.json"]


async def test_one_at_a_time_holds_the_lock(tmp_path: Path) -> None:
    order: list[str] = []
    held, waited = asyncio.Event(), asyncio.Event()

    async def look(_: float) -> None:
        waited.set()
        await asyncio.sleep(0)

    async def first() -> None:
        async with locked(tmp_path / "lock"):
            held.set()
            await waited.wait()
            order.append("first")

    async def second() -> None:
        await held.wait()
        async with locked(tmp_path / "lock", sleep=look):
            order.append("second")

    await asyncio.gather(first(), second())
    assert order == ["first", "second"]


def test_a_store_that_is_none_says_what_is(tmp_path: Path) -> None:
    assert isinstance(store_of("memory"), MemoryTokens)
    own = MemoryTokens()
    assert store_of(own) is own
    for wrong in (5, None, object()):
        with pytest.raises(ConfigError, match='"memory", "keyring" or a path'):
            store_of(wrong)
    with pytest.raises(ConfigError, match="folder is not there"):
        store_of(tmp_path / "none" / "t.json")


@pytest.mark.parametrize(
    ("none", "words"), [(fail, "no keyring on this computer"), (null, "it forgets what it is given")]
)
def test_a_keyring_that_is_not_there_is_an_error_that_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, ring: Ring, none: ModuleType, words: str
) -> None:
    keyring.set_keyring(none.Keyring())
    with pytest.raises(ConfigError, match=words):
        store_of("keyring")
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(ConfigError, match=r"pip install 'mcpnb\[keyring\]'"):
        store_of("keyring")


async def test_a_keyring_that_fails_is_not_quoted(ring: Ring) -> None:
    store = KeyringTokens()
    ring.held["mcpnb", "k"] = '"access-4711"'
    with pytest.raises(ConfigError) as caught:
        await store.load("k")
    ring.locked = True
    with pytest.raises(ConfigError, match="the keyring failed: RuntimeError") as failed:
        await store.load("k")
    assert "access-4711" not in f"{caught.value}{failed.value}"


# -- tokens ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lifetime", "fresh_until", "usable_until"),
    [(4.0, 3.2, 3.8), (100.0, 80.0, 95.0), (3600.0, 3570.0, 3592.5)],
)
def test_a_token_is_renewed_in_time_however_long_it_lives(
    lifetime: float, fresh_until: float, usable_until: float
) -> None:
    token = Token("x", "r", (), 1000.0 + lifetime, lifetime)
    for until, check in ((fresh_until, token.fresh), (usable_until, token.usable)):
        assert check(1000.0 + until - 0.01)
        assert not check(1000.0 + until + 0.01)


def test_a_token_without_an_end_is_always_good() -> None:
    assert Token("x", "r").fresh(4e9)
    assert Token("x", "r").usable(4e9)


def test_time_does_not_run_backwards_but_leaps_forward(monkeypatch: pytest.MonkeyPatch) -> None:
    wall, steady = [1000.0], [50.0]
    monkeypatch.setattr("time.time", lambda: wall[0])
    monkeypatch.setattr("time.monotonic", lambda: steady[0])
    clock = SteadyTime()
    wall[0], steady[0] = 900.0, 60.0  # set back
    assert clock() == 1010.0
    wall[0], steady[0] = 5000.0, 61.0  # slept
    assert clock() == 5000.0
    wall[0], steady[0] = 5001.0, 62.0
    assert clock() == 5001.0


def test_no_token_is_in_a_repr() -> None:
    shown = repr([TOKEN, KEPT])
    assert not [secret for secret in KEPT.secrets if secret in shown]
    assert KEPT.secrets == {"access-4711", "refresh-4711", "s3cr3t-4711"}
    assert Kept.of_json(json.loads(json.dumps(KEPT.to_json()))) == KEPT
