"""The portal: hand-over, interrupt, end, fork. No sleeps: every wait is for an event that must come."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import gc
import logging
import os
import signal
import subprocess
import sys
import textwrap
import threading
import weakref

import pytest

from mcpnb.portal import Future, Portal, Progress, current_future, get_portal

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")


@pytest.fixture
def portal():
    portal = Portal()
    yield portal
    portal.close()


async def echo(value: object) -> object:
    await asyncio.sleep(0)
    return value


class Gate:
    """A coroutine that says when it began, waits until it is let through, and says if it was cancelled."""

    def __init__(self) -> None:
        self.began, self.cancelled = threading.Event(), threading.Event()
        self._open: asyncio.Event | None = None

    async def passed(self, value: object = None) -> object:
        self._open = asyncio.Event()
        self.began.set()
        try:
            await self._open.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return value

    async def open(self) -> None:
        assert self._open is not None
        self._open.set()


def run_script(text: str, *, interrupt_after: str | None = None) -> list[str]:
    """The lines that a fresh interpreter prints; it gets SIGINT once it has printed `interrupt_after`."""
    command = [sys.executable, "-X", "dev", "-c", textwrap.dedent(text)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line.rstrip("\n"))
            if lines[-1] == interrupt_after:
                process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        errors = process.stderr.read()
    assert process.returncode == 0, errors
    assert not errors
    return lines


# ---- calls


def test_a_call_gives_the_coroutines_value(portal):
    assert portal.call(echo, 3) == 3


def test_a_call_passes_keywords_that_look_like_its_own(portal):
    async def takes(**words: int) -> dict[str, int]:
        return words

    assert portal.call(takes, function=1, self=2, label=3) == {"function": 1, "self": 2, "label": 3}


def test_a_call_raises_what_the_coroutine_raised(portal):
    async def fails() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        portal.call(fails)


def test_a_wrong_signature_is_the_callers_error(portal):
    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        portal.call(echo)


def test_a_failed_call_leaves_no_reference_cycle_behind(portal):
    class Marked(Exception):
        pass

    async def fails() -> None:
        raise Marked

    gc.collect()
    gc.disable()
    try:
        try:
            portal.call(fails)
        except Marked as error:
            gone = weakref.ref(error)
        portal.call(echo, 1)  # the loop has let go of the failed task by now
        assert gone() is None
    finally:
        gc.enable()


def test_the_callers_context_is_the_coroutines(portal):
    variable = contextvars.ContextVar("variable", default="unset")

    async def look() -> str:
        return variable.get()

    variable.set("mine")
    assert portal.call(look) == "mine"


def test_calls_from_many_threads_run_on_one_loop(portal):
    async def where() -> int:
        return id(asyncio.get_running_loop())

    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        assert len(set(threads.map(lambda _: portal.call(where), range(64)))) == 1


def test_a_synchronous_call_on_the_loops_thread_raises_instead_of_waiting_for_itself(portal):
    async def nested() -> None:
        portal.call(echo, 1)

    with pytest.raises(RuntimeError, match="own thread"):
        portal.call(nested)


def test_waiting_for_a_future_on_the_loops_thread_raises(portal):
    async def nested() -> None:
        portal.submit(echo, 1).result()

    with pytest.raises(RuntimeError, match="own thread"):
        portal.call(nested)


def test_exit_in_a_coroutine_reaches_the_caller_and_the_loop_goes_on(portal):
    async def leaves() -> None:
        sys.exit(3)

    with pytest.raises(SystemExit):
        portal.call(leaves)
    assert portal.call(echo, 1) == 1


def test_exit_in_a_stray_task_is_logged_and_the_loop_goes_on(portal, caplog):
    async def leaves() -> None:
        sys.exit(3)

    async def spawns() -> asyncio.Task[None]:
        return asyncio.create_task(leaves())

    stray = portal.call(spawns)
    assert portal.call(echo, 1) == 1
    portal.close()
    assert isinstance(stray.exception(), SystemExit)
    assert "the loop goes on" in caplog.text


def test_get_portal_is_one_per_process():
    assert get_portal() is get_portal()


# ---- futures


def test_a_future_does_not_wait_and_then_gives_the_value(portal):
    gate = Gate()
    future = portal.submit(gate.passed, "through")
    gate.began.wait()
    assert not future.done()
    portal.call(gate.open)
    assert future.result() == "through"


def test_cancelling_a_future_cancels_the_coroutine(portal):
    gate = Gate()
    future = portal.submit(gate.passed)
    gate.began.wait()
    assert future.cancel()
    assert gate.cancelled.wait(10)
    with pytest.raises(concurrent.futures.CancelledError):
        future.result()


def test_a_future_cancelled_before_its_turn_never_runs(portal):
    blocked, ran = threading.Event(), []

    async def blocks() -> None:
        blocked.wait()

    async def runs() -> None:
        ran.append(True)

    first = portal.submit(blocks)
    second = portal.submit(runs)
    assert second.cancel()
    blocked.set()
    first.result()
    concurrent.futures.wait([second])
    assert not ran


def test_a_future_cancelled_between_its_task_and_its_first_step_tells_its_waiters(portal):
    async def cancels_at_once() -> tuple[Future[object], set[Future[object]]]:
        future = portal.submit(echo, 1)
        asyncio.get_running_loop().call_soon(future.cancel)
        waited = await asyncio.to_thread(concurrent.futures.wait, [future])
        return future, waited.not_done

    future, not_done = portal.call(cancels_at_once)
    assert future.cancelled()
    assert not not_done


def test_cancelling_an_ended_future_does_nothing(portal):
    future = portal.submit(echo, 1)
    assert future.result() == 1
    assert not future.cancel()
    assert not future.cancelled()


def test_an_error_during_cancellation_is_logged(portal, caplog):
    gate = Gate()

    async def cleans_up_badly() -> None:
        try:
            await gate.passed()
        finally:
            raise ValueError("while cleaning up")

    future = portal.submit(cleans_up_badly)
    gate.began.wait()
    future.cancel()
    concurrent.futures.wait([future])
    portal.call(echo, 1)  # the waiters hear of the end a moment before the log does
    assert "while it was being cancelled" in caplog.text
    assert "while cleaning up" in caplog.text


def test_a_coroutine_that_was_cancelled_by_others_is_a_cancelled_call(portal):
    async def cancelled() -> None:
        raise asyncio.CancelledError

    with pytest.raises(concurrent.futures.CancelledError):
        portal.call(cancelled)


def test_futures_work_with_the_standard_waiters(portal):
    futures = [portal.submit(echo, n) for n in range(5)]
    assert {future.result() for future in concurrent.futures.as_completed(futures)} == set(range(5))


def test_progress_is_reported_by_the_running_code(portal):
    gate = Gate()

    async def reports() -> None:
        current_future().report(1, 4, "reading")
        await gate.passed()

    future = portal.submit(reports)
    gate.began.wait()
    assert future.progress == Progress(1, 4, "reading")
    assert "25% reading" in repr(future)
    future.cancel()


def test_no_future_is_current_outside_a_call():
    assert current_future() is None


def test_a_futures_repr_tells_its_state():
    now = [0.0]
    future = Future[int]("weather.forecast", clock=lambda: now[0])
    now[0] = 2.0
    assert repr(future) == "<Future weather.forecast: running for 2.0 s>"
    future.report(3)
    assert repr(future) == "<Future weather.forecast: running for 2.0 s, 3>"
    future.set_exception(ValueError("no"))
    assert repr(future) == "<Future weather.forecast: ValueError: no (2 s)>"


def test_a_cancelled_futures_repr_says_so(portal):
    future = portal.submit(Gate().passed)
    future.cancel()
    assert "cancelled after" in repr(future)


@pytest.mark.anyio
async def test_run_awaits_from_another_loop(portal):
    assert await portal.run(echo, 5) == 5


@pytest.mark.anyio
async def test_run_on_the_portals_own_loop_just_awaits(portal):
    async def nested() -> object:
        return await portal.run(echo, 6)

    assert await portal.run(nested) == 6


@pytest.mark.anyio
async def test_cancelling_the_awaiting_task_cancels_the_coroutine(portal):
    gate = Gate()
    task = asyncio.create_task(portal.run(gate.passed))
    await asyncio.to_thread(gate.began.wait)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await asyncio.to_thread(gate.cancelled.wait, 10)


@pytest.mark.anyio
async def test_a_future_can_be_awaited(portal):
    assert await portal.submit(echo, 7) == 7


# ---- interrupt


@POSIX
def test_an_interrupt_cancels_the_call_and_the_next_one_works(portal):
    gate = Gate()

    async def interrupted() -> None:
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        await gate.passed()

    with pytest.raises(KeyboardInterrupt):
        portal.call(interrupted)
    assert gate.cancelled.wait(10) or not gate.began.is_set()
    assert portal.call(echo, 1) == 1


@POSIX
def test_an_interrupt_leaves_a_submitted_call_running(portal):
    gate = Gate()
    future = portal.submit(gate.passed, "through")
    gate.began.wait()
    interrupter = threading.Timer(0, signal.pthread_kill, (threading.main_thread().ident, signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        _start_and_wait(interrupter, future)
    portal.call(gate.open)
    assert future.result() == "through"


def _start_and_wait(interrupter: threading.Timer, future: Future[object]) -> None:
    interrupter.start()
    future.result()


@POSIX
def test_control_c_stops_a_waiting_script_which_then_goes_on():
    lines = run_script(
        """
        import asyncio, threading
        from mcpnb.portal import get_portal
        portal, cancelled = get_portal(), threading.Event()

        async def hangs():
            print("hanging", flush=True)
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.set()

        try:
            portal.call(hangs)
        except KeyboardInterrupt:
            print("interrupted", flush=True)
        cancelled.wait()
        print(portal.call(asyncio.sleep, 0, "usable"), flush=True)
        """,
        interrupt_after="hanging",
    )
    assert lines == ["hanging", "interrupted", "usable"]


@pytest.fixture
def kernel(tmp_path, monkeypatch, start_kernel):
    """A real IPython kernel and its client."""
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    with start_kernel(cwd=str(tmp_path)) as started:
        yield started


def answer_to(client, request: str) -> dict[str, object]:
    """The kernel's answer to one request; others may still be on their way from its start."""
    while (message := client.get_shell_msg(timeout=30))["parent_header"].get("msg_id") != request:
        pass
    return message["content"]


def test_interrupt_in_a_kernel_stops_the_cell_and_the_next_cell_works(kernel):
    manager, client = kernel
    hanging = client.execute(
        "import asyncio, mcpnb.portal\n"
        "portal = mcpnb.portal.get_portal()\n"
        "async def hangs():\n"
        "    print('hanging', flush=True)\n"
        "    await asyncio.Event().wait()\n"
        "portal.call(hangs)",
        stop_on_error=False,  # the next request is sent at once; Jupyter would drop it
    )
    while client.get_iopub_msg(timeout=30)["msg_type"] != "stream":
        pass  # prints of the coroutine reach the cell, though they come from another thread
    manager.interrupt_kernel()
    reply = answer_to(client, hanging)
    assert (reply["status"], reply["ename"]) == ("error", "KeyboardInterrupt")
    usable = client.execute("assert portal.call(asyncio.sleep, 0, 'usable') == 'usable'")
    assert answer_to(client, usable)["status"] == "ok"


def test_shutting_a_kernel_down_runs_the_closers(kernel, tmp_path):
    manager, client = kernel
    registered = client.execute(
        "import pathlib, mcpnb.portal\n"
        "async def closer():\n"
        "    pathlib.Path('closed').touch()\n"
        "mcpnb.portal.get_portal().register(closer)"
    )
    assert answer_to(client, registered)["status"] == "ok"
    manager.shutdown_kernel()
    assert (tmp_path / "closed").exists()


# ---- the end


def our_threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name.startswith("mcpnb")}


def test_closing_leaves_no_thread_and_the_next_use_starts_anew():
    before = our_threads()
    portal = Portal()
    assert not portal.running

    async def uses_a_worker() -> None:
        await asyncio.to_thread(int)

    portal.call(uses_a_worker)
    portal.close()
    assert our_threads() == before
    portal.close()
    assert portal.call(echo, 1) == 1
    portal.close()
    assert our_threads() == before


def test_closing_cancels_what_still_runs():
    portal, gate = Portal(), Gate()
    future = portal.submit(gate.passed)
    gate.began.wait()
    portal.close()
    assert gate.cancelled.is_set()
    assert future.cancelled()


def test_closers_run_concurrently():
    portal = Portal()
    parties: list[asyncio.Barrier] = []

    async def meet() -> None:
        await parties[0].wait()

    async def prepare() -> None:
        parties.append(asyncio.Barrier(3))

    portal.call(prepare)
    for _ in range(3):
        portal.register(meet)
    portal.close()  # one after the other, they would wait for each other until the bound
    assert not parties[0].broken
    assert parties[0].n_waiting == 0


def test_a_closer_that_hangs_is_given_up_and_named(caplog):
    portal = Portal()

    async def hangs() -> None:
        await asyncio.Event().wait()

    portal.register(hangs)
    portal.close(within=0.05)
    assert "hangs did not end within 0.05 s" in caplog.text


def test_a_closer_that_fails_is_named_and_the_others_run(caplog):
    portal, ran = Portal(), []

    async def fails() -> None:
        raise ValueError("no")

    async def runs() -> None:
        ran.append(True)

    portal.register(fails)
    portal.register(runs)
    portal.close()
    assert ran
    assert "fails did not end cleanly" in caplog.text


def test_an_unregistered_closer_does_not_run():
    portal, ran = Portal(), []

    async def runs() -> None:
        ran.append(True)

    portal.register(runs)()
    portal.close()
    assert not ran


def test_code_that_blocks_the_loop_cannot_hold_up_the_end(caplog):
    portal, release, began = Portal(), threading.Event(), threading.Event()

    async def blocks() -> None:
        began.set()
        release.wait()

    stuck = portal.submit(blocks)
    began.wait()
    with caplog.at_level(logging.WARNING):
        portal.close(within=0.05)
    assert "stuck" in caplog.text
    assert portal.call(echo, 1) == 1  # on a new thread
    release.set()
    stuck.exception()
    portal.close()


def test_closing_on_the_loops_thread_raises(portal):
    async def closes() -> None:
        portal.close()

    with pytest.raises(RuntimeError, match="own end"):
        portal.call(closes)


def test_a_call_that_races_with_closing_ends_one_way_or_the_other():
    for _ in range(50):
        portal, both = Portal(), threading.Barrier(2)
        portal.call(echo, 0)
        ended: list[object] = []

        def caller(portal=portal, both=both, ended=ended) -> None:
            both.wait()
            try:
                ended.append(portal.call(echo, 1))
            except concurrent.futures.CancelledError as error:
                ended.append(error)

        thread = threading.Thread(target=caller)
        thread.start()
        both.wait()
        portal.close()
        thread.join()
        portal.close()
        assert len(ended) == 1


def test_lag_is_small_when_idle_and_none_when_the_loop_is_blocked(portal):
    began, release = threading.Event(), threading.Event()

    async def blocks() -> None:
        began.set()
        release.wait()

    assert portal.lag() == 0.0
    portal.call(echo, 1)
    assert portal.lag() is not None
    blocked = portal.submit(blocks)
    began.wait()
    assert portal.lag(timeout=0.01) is None
    release.set()
    blocked.result()


def test_the_interpreters_exit_runs_the_closers():
    lines = run_script(
        """
        import asyncio
        from mcpnb.portal import get_portal
        portal = get_portal()

        async def closer():
            await asyncio.sleep(0)
            print("closed", flush=True)

        portal.register(closer)
        print("leaving", flush=True)
        """
    )
    assert lines == ["leaving", "closed"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_gets_a_fresh_loop_and_the_parents_stays_whole():
    lines = run_script(
        """
        import asyncio, os, sys, threading, warnings
        warnings.simplefilter("ignore", DeprecationWarning)  # 3.12 warns of forks in threaded processes
        from mcpnb.portal import get_portal
        portal = get_portal()

        async def closer():
            print("parent's closer", flush=True)

        portal.register(closer)
        assert portal.call(asyncio.sleep, 0, "parent") == "parent"
        child = os.fork()
        if not child:
            assert not portal.running
            print(portal.call(asyncio.sleep, 0, "child"), flush=True)
            sys.exit(0)
        assert os.waitpid(child, 0)[1] == 0
        print(portal.call(asyncio.sleep, 0, "parent"), flush=True)
        """
    )
    assert lines == ["child", "parent", "parent's closer"]
