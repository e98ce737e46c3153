"""A login and its person: the link, the listener, the pasted address, giving up."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import httpx2
import pytest

from mcpnb.auth import LoginRequest
from mcpnb.auth.listener import Listener
from mcpnb.auth.person import anybody, ask
from mcpnb.auth.refusal import NoToken
from mcpnb.config import OAuth
from mcpnb.errors import AuthError

from .town import Clock, Guests, Town, code_in, until

pytestmark = pytest.mark.anyio

BACK = "http://127.0.0.1:8123/callback"


def request(*, needs_iss: bool = False) -> LoginRequest:
    return LoginRequest(
        server="a", servers=("a", "b"), issuer="https://login.test", url="https://login.test/authorize?state=st",
        redirect_uri=BACK, scopes=("read",), state="st", needs_iss=needs_iss,
    )  # fmt: skip


@pytest.fixture
async def listener() -> AsyncIterator[Listener]:
    async with await Listener.open() as listener:
        yield listener


async def browse(url: str) -> httpx2.Response:
    async with httpx2.AsyncClient(verify=False) as browser:  # reading certificates takes longer than all else
        return await browser.get(url)


@pytest.mark.parametrize("pasted", [f"{BACK}?code=c&state=st", " ?code=c&state=st\n", "code=c&state=st", "c"])
async def test_an_address_its_query_or_the_code_alone_is_an_answer(pasted: str) -> None:
    asked = request()
    asked.answer(pasted)
    answer = await asked.answered()
    assert answer is not None
    assert answer.code == "c"
    assert "code" not in repr(answer)
    assert asked.state == "answered"


@pytest.mark.parametrize(
    ("pasted", "words"),
    [
        (f"{BACK}?code=c&state=other", "another login"),
        (f"{BACK}?code=c", "another login"),
        (f"{BACK}?state=st", "no code in it"),
        ("https://login.test/authorize", "neither the address"),
        ("", "neither the address"),
        ("two words", "neither the address"),
        ("x" * 9000, "neither the address"),
    ],
)
async def test_what_is_no_answer_is_refused_and_the_login_goes_on(pasted: str, words: str) -> None:
    asked = request()
    with pytest.raises(AuthError, match=words):
        asked.answer(pasted)
    assert asked.state == "waiting"
    asked.answer("c")


async def test_where_the_issuer_signs_its_answers_a_bare_code_is_not_enough() -> None:
    asked = request(needs_iss=True)
    with pytest.raises(AuthError, match="whole address"):
        asked.answer("c")
    asked.answer(f"{BACK}?code=c&state=st&iss=https%3A%2F%2Flogin.test")
    answer = await asked.answered()
    assert answer is not None
    assert answer.iss == "https://login.test"


async def test_a_refusal_at_the_issuer_ends_it() -> None:
    asked, heard = request(), []
    asked.on_done(heard.append)
    asked.answer(f"{BACK}?error=access_denied&error_description=You+said+no&state=st")
    assert await asked.answered() is None
    assert (asked.state, heard) == ("failed", [asked])
    assert "You said no" in str(asked.error)
    with pytest.raises(AuthError, match="it is over"):
        asked.answer("c")


async def test_the_first_answer_counts_and_the_first_end() -> None:
    asked = request()
    asked.answer("c")
    with pytest.raises(AuthError, match="answered already"):
        asked.answer("d")
    asked.cancel()
    asked.end("logged_in")
    assert asked.state == "cancelled"
    heard: list[LoginRequest] = []
    asked.on_done(heard.append)
    assert heard == [asked]


async def test_it_may_be_answered_from_another_thread() -> None:
    asked = request()
    thread = threading.Thread(target=asked.answer, args=("c",))
    thread.start()
    answer = await asked.answered()
    thread.join()
    assert answer is not None


async def test_the_browser_comes_back_to_the_listener(listener: Listener) -> None:
    asked = request()
    listener.serve(asked)
    page = await browse(f"{listener.redirect_uri}?code=c&state=st")
    assert page.status_code == 200
    assert "You can close this window" in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    answer = await asked.answered()
    assert answer is not None
    assert answer.code == "c"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/callback?code=c&state=wrong", 400),
        ("/callback", 400),
        ("/favicon.ico", 404),
        ("/?code=c&state=st", 404),
    ],
)
async def test_what_else_comes_to_the_listener_changes_nothing(
    listener: Listener, path: str, status: int
) -> None:
    asked = request()
    listener.serve(asked)
    page = await browse(f"http://127.0.0.1:{listener.port}{path}")
    assert page.status_code == status
    assert asked.state == "waiting"


async def test_what_an_issuer_says_is_escaped_on_the_page(listener: Listener) -> None:
    asked = request()
    listener.serve(asked)
    page = await browse(f"{listener.redirect_uri}?error=%3Cscript%3Ealert(1)%3C/script%3E&state=st")
    assert "<script>" not in page.text
    assert "&lt;script&gt;" in page.text


async def test_noise_at_the_listener_gets_no_answer(listener: Listener) -> None:
    for noise in (b"\x16\x03\x01\r\n\r\n", b"x" * 20_000):
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        writer.write(noise)
        writer.write_eof()
        await reader.read()
        writer.close()
    listener.serve(request())
    assert (await browse(f"{listener.redirect_uri}?code=c&state=st")).status_code == 200


async def test_a_configured_address_is_kept_and_a_taken_port_is_said(listener: Listener) -> None:
    with pytest.raises(NoToken, match=f"127.0.0.1:{listener.port}"):
        await Listener.open(port=listener.port)
    free = (await _free_port()).redirect_uri
    address = f"http://localhost:{urlsplit(free).port}/oauth/back"
    async with await Listener.open(address) as other:
        other.serve(request())
        assert other.redirect_uri == address
        assert (await browse(f"http://127.0.0.1:{other.port}/oauth/back?code=c&state=st")).status_code == 200


async def _free_port() -> Listener:
    async with await Listener.open() as listener:
        return listener


async def test_the_listener_is_gone_with_the_login() -> None:
    listener = await _free_port()
    with pytest.raises(httpx2.ConnectError):
        await browse(listener.redirect_uri)


async def test_the_browser_and_a_pasted_address_race(guests: Guests) -> None:
    guests.willing = False
    login = asyncio.create_task(guests.log_in("a"))
    await until(lambda: guests.requests)
    (asked,) = guests.requests
    there = await guests.browse(asked)
    assert (await browse(there)).status_code == 200
    with pytest.raises(AuthError):
        asked.answer(code_in(there))
    await login
    assert asked.state == "logged_in"
    assert (await guests.get("a")).text == "a"


async def test_a_second_login_comes_back_to_the_address_that_was_registered(
    guests: Guests, town: Town
) -> None:
    await guests.log_in("a")
    guests.town.issuer.refresh.clear()
    guests.clock.now += 4000
    with pytest.raises(NoToken):
        await guests.get("a")
    await until(lambda: guests.row("a").state == "logged_in")
    first, second = guests.requests
    assert first.redirect_uri == second.redirect_uri
    assert town.count("/register") == 1


async def test_a_taken_port_is_no_obstacle_where_we_may_register_anew(guests: Guests, town: Town) -> None:
    await guests.log_in("a")
    await guests.logins.log_out("a")
    port = urlsplit(guests.requests[0].redirect_uri).port
    async with await Listener.open(port=port):
        await guests.log_in("a")
    assert guests.requests[0].redirect_uri != guests.requests[1].redirect_uri
    assert town.count("/register") == 2


async def test_a_login_that_nobody_answers_ends(town: Town, clock: Clock) -> None:
    guests = Guests(town, clock, willing=False)
    guests.logins._means = type(guests.logins._means)(
        **{**{f: getattr(guests.logins._means, f) for f in guests.logins._means.__slots__}, "patience": 0.0}
    )
    with pytest.raises(NoToken, match="nobody logged in within"):
        await guests.log_in("a")
    assert guests.requests[0].state == "failed"
    assert guests.row("a").state == "needs_login"
    await guests.close()


async def test_closing_gives_up_the_login_and_its_listener(town: Town, clock: Clock) -> None:
    guests = Guests(town, clock, willing=False)
    login = asyncio.create_task(guests.log_in("a"))
    await until(lambda: guests.requests)
    (asked,) = guests.requests
    await guests.close()
    assert asked.state == "cancelled"
    with pytest.raises(asyncio.CancelledError):
        await login
    with pytest.raises(httpx2.ConnectError):
        await browse(asked.redirect_uri)


async def test_a_registered_client_comes_back_to_its_own_address(guests: Guests, town: Town) -> None:
    town.answers["login.test", "/token"] = lambda r: httpx2.Response(
        200, json={"access_token": "x", "token_type": "bearer"}, request=r
    )
    guests.willing = False
    port = urlsplit((await _free_port()).redirect_uri).port
    auth = OAuth(client_id="notebook", redirect_port=port)
    login = asyncio.create_task(guests.log_in("a", auth))
    await until(lambda: guests.requests)
    assert guests.requests[0].redirect_uri == f"http://127.0.0.1:{port}/callback"
    guests.requests[0].answer("c")
    await login
    assert town.count("/register") == 0
    assert guests.row("a", auth).client == "notebook"


@pytest.mark.parametrize("kind", ["plain", "coroutine"])
async def test_whoever_asks_may_fail_and_that_ends_the_login(kind: str) -> None:
    def plain(asked: LoginRequest) -> None:
        raise RuntimeError("no display")

    async def coroutine(asked: LoginRequest) -> None:
        raise RuntimeError("no display")

    asked = request()
    await ask({"plain": plain, "coroutine": coroutine}[kind], asked)
    assert asked.state == "failed"
    assert "on_login failed: RuntimeError: no display" in str(asked.error)


async def test_at_a_terminal_the_link_is_printed_and_opened(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    assert anybody(None) is None, "these tests have no terminal"
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    somebody = anybody(None)
    assert somebody is not None
    asked = request()
    await ask(somebody, asked)
    assert opened == [asked.url]
    assert asked.url in capsys.readouterr().err
