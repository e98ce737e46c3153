"""What servers ask in a notebook: a form below the cell, or prompts where a cell waits; never a dead end."""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from typing import NamedTuple

import pytest

from mcpnb.connection import Elicitation
from mcpnb.model import Event
from mcpnb.notebook import cells, questions
from mcpnb.notebook.forms import Form, question_html
from mcpnb.notebook.happened import told
from mcpnb.notebook.prompts import prompted
from mcpnb.notebook.questions import Declined, Desk, NobodyThere, TooMuch
from mcpnb.notebook.shapes import fields_of
from mcpnb.portal import Future

EVIL = "<img src=x onerror=alert(1)>\u202e\x1b[2J"
SCHEMA = {
    "properties": {
        "city": {"type": "string", "title": "City", "minLength": 2},
        "way": {"type": "string", "enum": ["rail", "air"], "default": "rail"},
        "guests": {"type": "integer", "minimum": 1, "maximum": 9},
        "days": {"type": "array", "items": {"enum": ["sat", "sun"]}},
        "window": {"type": "boolean"},
    },
    "required": ["city"],
}
TRIP = Elicitation("travel", "Which trip?", SCHEMA)
FIELDS = fields_of(SCHEMA)
PAGE = Elicitation("bank", "Log in", None, "https://bank.example/login?a=1&b=2")


class Page:
    """A cell, and the place on the page that it gives."""

    def __init__(self) -> None:
        self.bundles: list[dict[str, object]] = []
        self.shown = threading.Event()

    def show(self, bundle):
        self.bundles.append(bundle)
        self.shown.set()
        return self

    def update(self, bundle, **_options):
        self.bundles.append(bundle)


class Watched(Future):
    """A call that tells when somebody has begun to wait for it."""

    def __init__(self, label) -> None:
        super().__init__(label)
        self.looked_at = threading.Event()

    def done(self) -> bool:
        self.looked_at.set()
        return super().done()


class Now:
    """A scheduler that does not wait."""

    def later(self, _seconds, callback):
        callback()
        return lambda: None


# ---- prompts


class Person:
    """Types what the test says, and keeps what he is shown."""

    def __init__(self, *answers) -> None:
        self.answers, self.seen = list(answers), []

    def ask(self, prompt: str) -> str:
        self.seen.append(prompt)
        answer = self.answers.pop(0)
        if isinstance(answer, type):
            raise answer
        return answer

    def answer(self, question, fields=FIELDS):
        return prompted(question, fields, ask=self.ask, ask_secretly=self.ask, say=self.seen.append)


def test_prompts_go_field_by_field_and_leave_out_what_is_left_empty():
    person = Person("Oslo", "", "", "1, 2", "")
    assert person.answer(TRIP) == {"city": "Oslo", "way": "rail", "days": ["sat", "sun"]}
    assert person.seen[0].startswith("travel asks: Which trip?")
    assert "City (text, at least 2 characters): " in person.seen
    assert "way (one of the choices, empty: rail): " in person.seen


def test_a_prompt_is_repeated_until_the_answer_fits():
    person = Person("O", "Oslo", "", "12", "3", "", "y")
    assert person.answer(TRIP) == {"city": "Oslo", "way": "rail", "guests": 3, "window": True}
    assert "  this needs a whole number, 1 to 9" in person.seen


def test_an_empty_answer_where_one_is_needed_declines():
    assert Person("").answer(TRIP) is False


@pytest.mark.parametrize(("said", "given"), [("", False), ("no", False), ("y", {"window": True})])
def test_where_no_answer_is_needed_a_person_is_asked_whether_to_give_one(said, given):
    assert Person(said, "y").answer(TRIP, FIELDS[-1:]) == given


@pytest.mark.parametrize("before", [(), ("Oslo",)])
def test_interrupt_is_no_answer_but_the_end_of_the_cell(before):
    with pytest.raises(KeyboardInterrupt):
        Person(*before, KeyboardInterrupt).answer(TRIP)


def test_a_page_to_visit_is_shown_and_agreed_to_and_nothing_opens_it():
    person = Person("yes")
    assert person.answer(PAGE, ()) is True
    assert "https://bank.example/login?a=1&b=2" in person.seen[0]
    assert Person("").answer(PAGE, ()) is False


def test_nothing_that_a_server_says_reaches_a_terminal_as_it_is():
    fields = fields_of({"properties": {EVIL: {"title": EVIL, "description": EVIL, "enum": [EVIL]}}})
    person = Person("y", "")
    person.answer(Elicitation(EVIL, EVIL, {}, EVIL), ())
    Person.answer(person := Person("y", "1"), Elicitation("s", EVIL), fields)
    assert "\x1b" not in "".join(person.seen)
    assert "\u202e" not in "".join(person.seen)


# ---- the form


@pytest.fixture
def page():
    return Page()


@pytest.fixture
def form(page):
    pytest.importorskip("ipywidgets")
    given = []
    made = Form(TRIP, FIELDS, lambda answer: given.append(answer) or True)
    made.given = given
    made.show(page)
    yield made
    made.end("")


def tree(widget):
    yield widget
    for child in getattr(widget, "children", ()):
        yield from tree(child)


def named(form, description):
    (found,) = (w for w in tree(form.root) if getattr(w, "description", "").removesuffix(" *") == description)
    return found


def text(form) -> str:
    return " ".join(w.value for w in tree(form.root) if type(w).__name__ == "HTML")


def test_each_kind_of_field_has_its_widget(form):
    kinds = {name: type(named(form, name)).__name__ for name in ("City", "way", "guests", "days", "window")}
    assert kinds == {
        "City": "Text", "way": "Dropdown", "days": "SelectMultiple", "window": "Dropdown",
        "guests": "Text",
    }  # fmt: skip
    assert named(form, "City").description == "City *"


def test_accept_gives_what_was_filled_in_and_leaves_a_line(form, page):
    named(form, "City").value = "Oslo"
    named(form, "guests").value = "3"
    named(form, "days").value = (1,)
    named(form, "Accept").click()
    assert form.given == [{"city": "Oslo", "way": "rail", "guests": 3, "days": ["sun"]}]
    assert page.bundles[-1]["text/plain"] == "travel asked: ✓ answered"
    assert "application/vnd.jupyter.widget-view+json" in page.bundles[0]


def test_what_does_not_fit_is_said_beside_the_field_and_not_sent(form):
    named(form, "guests").value = "12"
    named(form, "Accept").click()
    assert form.given == []
    assert "this is needed" in text(form)
    assert "this needs a whole number, 1 to 9" in text(form)


@pytest.mark.parametrize(("button", "given"), [("Decline", False), ("Cancel", None)])
def test_declining_and_dismissing_need_no_valid_fields(form, button, given):
    named(form, button).click()
    assert form.given == [given]


def test_while_a_cell_runs_the_form_takes_nothing(form):
    cells._begins(object())
    assert named(form, "City").disabled
    assert named(form, "Accept").disabled
    assert "A cell is running" in text(form)
    cells._ends(None)
    assert not named(form, "Accept").disabled
    assert "A cell is running" not in text(form)


def test_every_word_of_the_server_is_escaped_and_stands_under_its_name():
    html = question_html(Elicitation("tra<b>vel", EVIL))
    assert "<img" not in html
    assert "⟨U+202E⟩" in html
    assert "<bdi>tra&lt;b&gt;vel</bdi> asks" in html


def test_a_page_is_a_link_that_tells_the_other_side_nothing_and_other_schemes_are_none():
    html = question_html(PAGE)
    assert 'href="https://bank.example/login?a=1&amp;b=2" target="_blank" rel="noopener noreferrer"' in html
    assert "href" not in question_html(Elicitation("s", "m", None, "javascript:alert(1)"))


# ---- the desk


@pytest.fixture
def desk(monkeypatch, page):
    pytest.importorskip("ipywidgets")
    monkeypatch.setattr(cells, "has_person", lambda: True)
    monkeypatch.setattr(cells, "cell_of_now", lambda: page)
    return Desk(scheduler=Now())


@pytest.fixture
def typed(monkeypatch):
    """What is typed at prompts instead of by a person."""
    asked = []

    def answer(question, _fields):
        asked.append(question)
        return {"city": "Rome"}

    monkeypatch.setattr(questions, "prompted", answer)
    return asked


@pytest.mark.anyio
async def test_a_question_in_the_background_gets_a_form_and_its_end_is_told(desk, page):
    asking = asyncio.create_task(desk.ask(TRIP))
    await asyncio.to_thread(page.shown.wait, 20)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert page.bundles[-1]["text/plain"] == "travel asked: ⊘ the call has ended without the answer"


@pytest.mark.anyio
async def test_a_cell_that_waits_is_asked_there_with_no_form(desk, page, typed):
    call = Watched("book")
    waiting = asyncio.create_task(asyncio.to_thread(desk.serve, call))
    await asyncio.to_thread(call.looked_at.wait, 20)
    assert await desk.ask(TRIP) == {"city": "Rome"}
    call.set_result(None)
    await waiting
    assert typed == [TRIP]
    assert page.bundles == []


@pytest.mark.anyio
async def test_a_cell_that_comes_to_wait_takes_over_what_a_form_asked(desk, page, typed):
    asking = asyncio.create_task(desk.ask(TRIP))
    await asyncio.to_thread(page.shown.wait, 20)
    call = Future("book")
    waiting = asyncio.create_task(desk.attend(call))
    assert await asking == {"city": "Rome"}
    assert page.bundles[-1]["text/plain"] == "travel asked: ↓ asked below"
    call.set_result(None)
    await waiting


@pytest.mark.anyio
async def test_a_question_that_a_waiting_cell_does_not_get_to_becomes_a_form(desk, page):
    with desk._taking(lambda _asked: None):
        asking = asyncio.create_task(desk.ask(TRIP))
        await asyncio.sleep(0)
        assert page.bundles == []
    assert page.shown.is_set()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking


@pytest.mark.anyio
async def test_more_fields_than_a_person_can_fill_in_are_refused(desk):
    schema = {"properties": {str(number): {"type": "string"} for number in range(51)}}
    with pytest.raises(TooMuch):
        await desk.ask(Elicitation("travel", "all of it", schema))


@pytest.mark.anyio
async def test_where_nobody_sits_nobody_is_asked(desk, monkeypatch):
    monkeypatch.setattr(cells, "has_person", lambda: False)
    with pytest.raises(NobodyThere, match="without anybody"):
        await desk.ask(TRIP)


def test_a_declined_sampling_is_told_once_for_each_server(page, monkeypatch):
    monkeypatch.setattr(cells, "cell_of_now", lambda: page)
    declined = Declined()
    for server in ("a<b>", "a<b>", "c"):
        declined(Event(0.0, "sampling_declined", server, "it asked 'x': nobody answers"))
    assert [bundle["text/plain"].split()[0] for bundle in page.bundles] == ["a<b>", "c"]
    assert "a&lt;b&gt; wanted" in page.bundles[0]["text/html"]


def test_the_dashboards_log_shows_what_was_declined():
    kinds = ["elicitation_declined", "server_log", "sampling_declined"]
    shown = told([Event(0.0, kind, "s", "why") for kind in kinds])
    assert [event.kind for event in shown] == ["elicitation_declined", "sampling_declined"]


# ---- in a real kernel

SERVER = """
import asyncio, warnings
from typing import Annotated
import mcp_types
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.resolve import Elicit, Resolve, Sample
from pydantic import BaseModel
import mcpnb

class City(BaseModel):
    name: str

def which() -> Elicit[City]:
    return Elicit('Which city?', City)

def word() -> Sample:
    content = mcp_types.TextContent(type='text', text='?')
    return Sample([mcp_types.SamplingMessage(role='user', content=content)], max_tokens=10)

server = MCPServer('travel', log_level='ERROR')

@server.tool()
async def book(city: Annotated[City, Resolve(which)]) -> str:
    return f'booked {city.name}'

@server.tool()
async def describe(word: Annotated[mcp_types.CreateMessageResult, Resolve(word)]) -> str:
    return word.content.text

@server.tool()
async def search(ctx: Context) -> str:
    await ctx.report_progress(3, 8, 'three of eight')
    with warnings.catch_warnings(action='ignore'):
        await ctx.info('searching')
    await asyncio.sleep(3)  # longer than the bar's grace, on a busy machine, too
    return 'found'

fleet = mcpnb.connect({'travel': server}, timeout=60)
forgiving = fleet.options(raise_on_error=False)
"""
LAST = "print(fleet.events.kind.iloc[-1], '|', fleet.events.detail.iloc[-1])"


class Slowly(NamedTuple):
    """An answer that somebody takes their time for."""

    text: str
    seconds: float


class Kernel:
    """A kernel with a person in front of it, who types what the test says."""

    def __init__(self, manager, client) -> None:
        self._manager, self._client = manager, client
        self.prompts: list[str] = []
        self.shown: list[dict[str, object]] = []
        """Bundles of what was displayed or changed on the page."""

    def run(self, code: str, *answers, person: bool = True) -> str:
        """What the code prints; an answer that is KeyboardInterrupt interrupts the kernel."""
        left, printed, failed = list(answers), [], []
        self.prompts.clear()
        self.shown.clear()

        def answer(message):
            self.prompts.append(message["content"]["prompt"])
            given = left.pop(0)
            if given is KeyboardInterrupt:
                self._manager.interrupt_kernel()
                return
            if isinstance(given, Slowly):
                time.sleep(given.seconds)
                given = given.text
            self._client.input(given)

        def keep(message):
            kind, content = message["header"]["msg_type"], message["content"]
            if kind == "stream":
                printed.append(content["text"])
            elif kind in {"display_data", "update_display_data"}:
                self.shown.append(content["data"])
            elif kind == "error":
                failed.append(f"{content['ename']}: {content['evalue']}")

        try:
            self._client.execute_interactive(
                code, timeout=60, allow_stdin=person, stdin_hook=answer, output_hook=keep
            )
        except queue.Empty:
            pytest.fail(f"the kernel did not finish; it asked {self.prompts}")
        assert not failed, failed
        assert not left
        return "".join(printed)


@pytest.fixture(scope="module")
def kernel(start_kernel):
    with start_kernel() as (manager, client):
        made = Kernel(manager, client)
        made.run(SERVER)
        yield made
        made.run("fleet.close()")


WAYS = {
    "a call": "print(forgiving.call('book').text)",
    "an awaited call": "print((await forgiving.aio.call('book')).text)",
    "a future's result": "print(forgiving.submit('book').result().text)",
    "an awaited future": "print((await forgiving.submit('book')).text)",
}


@pytest.mark.parametrize("way", WAYS)
def test_a_cell_that_waits_for_a_call_in_any_way_is_asked_with_prompts(kernel, way):
    assert "booked Oslo" in kernel.run(WAYS[way], "Oslo")
    assert kernel.prompts == ["Name (text): "]


def test_a_cell_can_decline_and_the_event_tells(kernel):
    assert "booked" not in kernel.run(WAYS["a call"], "")
    assert kernel.run(LAST).strip() == "elicitation_declined | it asked 'Which city?': declined"


ENDED = "except (KeyboardInterrupt, asyncio.CancelledError):\n    print('interrupted')"


@pytest.mark.parametrize("way", ["a call", "an awaited call"])
def test_interrupt_at_a_question_cancels_the_call_and_the_fleet_goes_on(kernel, way):
    assert "interrupted" in kernel.run(f"try:\n    {WAYS[way]}\n{ENDED}", KeyboardInterrupt)
    assert kernel.run("print(fleet.calls.outcome.iloc[-1])").strip() == "cancelled"
    assert "booked Oslo" in kernel.run(WAYS["a call"], "Oslo")


def test_the_time_of_a_call_stands_while_somebody_types(kernel):
    hasty = WAYS["a call"].replace("forgiving", "forgiving.options(timeout=1.0)")
    assert "booked Oslo" in kernel.run(hasty, Slowly("Oslo", 1.5))
    row = "last = fleet.calls.iloc[-1]; print(last.outcome, last.latency_ms < 1000)"
    assert kernel.run(row).strip() == "ok True"


def test_a_notebook_that_is_run_without_a_person_declines_at_once_and_says_why(kernel):
    assert "booked" not in kernel.run(WAYS["a call"], person=False)
    assert "without anybody who could answer" in kernel.run(LAST)


def test_a_bar_comes_below_the_cell_and_goes_and_the_servers_log_is_an_event(kernel):
    kernel.run("fleet.call('search')")
    assert '<progress value="3" max="8">' in kernel.shown[0]["text/html"]
    assert kernel.shown[-1] == {"text/plain": "", "text/html": ""}
    assert kernel.run(LAST).strip().startswith("server_log | info:")


def test_sampling_that_nobody_answers_shows_below_the_cell_once(kernel):
    ask = "try:\n    fleet.call('describe')\nexcept mcpnb.ToolError:\n    print('refused')"
    assert kernel.run(ask).strip() == "refused"
    assert [shown["text/plain"].split(":")[0] for shown in kernel.shown] == [
        "travel wanted a language model's answer and was declined"
    ]
    assert kernel.run(ask).strip() == "refused"
    assert kernel.shown == []
    assert kernel.run(LAST).startswith("sampling_declined |")
