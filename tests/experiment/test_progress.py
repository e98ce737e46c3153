"""The line that says how far it is."""

from __future__ import annotations

import contextvars
import io

from mcpnb.experiment import Progress, Workload, compare
from mcpnb.experiment.progress import ProgressLine, line, shows_lines


def test_a_line_says_how_far_and_how_long():
    text = line(Progress(50, 200, "p2c", 3, 12), elapsed=10.0)
    assert "50/200 calls" in text
    assert "30 s left" in text
    assert text.endswith("round 3/12  p2c")
    assert line(Progress(50, None, "p2c", 3, 12), elapsed=10.0) == "50 calls  round 3/12  p2c"


def test_it_writes_seldom_over_itself_and_wipes_itself_at_the_end():
    out, now = io.StringIO(), [0.0]
    show = ProgressLine(out, clock=lambda: now[0])
    for done in range(1, 101):
        now[0] = done * 0.01
        show(Progress(done, 100, "p2c", 1, 1))
    show.close()
    *shown, wiped, end = out.getvalue().split("\r")[1:]
    assert len(shown) == 5
    assert wiped.strip() == end == ""
    assert len(wiped) == len(shown[-1])


def test_a_line_that_never_showed_leaves_nothing_behind():
    out = io.StringIO()
    ProgressLine(out).close()
    assert out.getvalue() == ""


def test_it_prints_in_the_context_of_its_maker():
    cell = contextvars.ContextVar("cell", default="another cell")
    seen = []

    class Out(io.StringIO):
        def write(self, text):
            seen.append(cell.get())
            return super().write(text)

    token = cell.set("my cell")
    show = ProgressLine(Out())
    cell.reset(token)
    show(Progress(1, 2, "p2c", 1, 1))
    assert set(seen) == {"my cell"}


def test_a_log_file_gets_no_lines(fleet, capsys, monkeypatch):
    monkeypatch.delitem(__import__("sys").modules, "ipykernel", raising=False)
    assert not shows_lines(io.StringIO())
    compare(fleet(("a", 0.01)), ["first"], workload=Workload(tool="t", rate=10.0, requests=20))
    assert capsys.readouterr().out == ""


def test_a_callback_is_told_instead(fleet, capsys):
    told = []
    workload = Workload(tool="t", rate=10.0, requests=20)
    compare(fleet(("a", 0.01)), ["first"], workload=workload, progress=told.append)
    assert told[-1].done == 20
    assert capsys.readouterr().out == ""
