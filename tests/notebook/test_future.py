"""A background call as a cell shows it."""

from __future__ import annotations

import pytest

from mcpnb.notebook.future import CallFuture, future_html
from mcpnb.portal import Portal

VIEW = "application/vnd.jupyter.widget-view+json"


class Now:
    """A scheduler that calls back when the test says so."""

    def __init__(self) -> None:
        self.due: list[object] = []

    def later(self, _seconds, callback):
        self.due.append(callback)
        return lambda: self.due.remove(callback) if callback in self.due else None

    def beat(self) -> None:
        due, self.due = self.due, []
        for callback in due:
            callback()


@pytest.fixture
def scheduler() -> Now:
    return Now()


@pytest.fixture
def future(scheduler) -> CallFuture[int]:
    return CallFuture("weather.<b>forecast</b>", scheduler=scheduler)


@pytest.fixture
def widgets():
    """The widgets made during a test, by class name, newest last."""
    ipywidgets = pytest.importorskip("ipywidgets")
    from ipywidgets.widgets.widget import _instances

    before = set(_instances)
    yield lambda kind: [w for key, w in _instances.items() if key not in before and type(w).__name__ == kind]
    for key in set(_instances) - before:
        _instances[key].close()
    assert ipywidgets


def test_what_is_called_is_escaped(future):
    assert "weather.&lt;b&gt;forecast" in future_html(future)


def test_progress_shows_as_a_bar_and_words(future):
    future.report(1, 4, "reading")
    assert '<progress value="1" max="4">' in future_html(future)
    assert "25% reading" in future_html(future)


def test_progress_without_an_end_has_no_bar(future):
    future.report(7)
    assert "<progress" not in future_html(future)


@pytest.mark.parametrize(
    ("end", "shown"),
    [
        (lambda f: f.set_result(3), "✓ done"),
        (lambda f: f.set_exception(ValueError("<no>")), "✗ ValueError: &lt;no&gt;"),
        (lambda f: f.cancel(), "⊘ cancelled"),
    ],
)
def test_an_ended_call_shows_its_end_without_a_widget(future, end, shown):
    end(future)
    bundle = future._repr_mimebundle_()
    assert VIEW not in bundle
    assert shown in bundle["text/html"]


def test_a_running_call_shows_a_stop_button_that_cancels_it(scheduler, widgets):
    portal = Portal()

    async def hangs() -> None:
        import asyncio

        await asyncio.Event().wait()

    future = CallFuture("hangs", scheduler=scheduler)
    portal.start(future, hangs)
    assert VIEW in future._repr_mimebundle_()
    (stop,) = widgets("Button")
    stop.click()
    assert future.cancelled()
    portal.close()


def test_the_widget_follows_the_call_and_stops_looking_at_its_end(future, scheduler, widgets):
    future._repr_mimebundle_()
    line = widgets("HTML")[-1]
    stop = widgets("Button")[-1]
    shown = {widget.value for widget in widgets("HTML")}
    assert any("running" in value for value in shown)
    future.report(1, 2)
    scheduler.beat()
    assert any("50%" in widget.value for widget in widgets("HTML"))
    assert not stop.disabled
    future.set_result(3)
    scheduler.beat()
    assert any("done" in widget.value for widget in widgets("HTML"))
    assert stop.disabled
    assert not scheduler.due
    assert line
