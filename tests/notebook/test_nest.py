"""`asyncio.run` in a cell, and nesting where it is asked for."""

from __future__ import annotations

import asyncio
import contextvars
import signal
import subprocess
import sys
import textwrap
import threading
from types import SimpleNamespace

import pytest

from mcpnb.notebook import nest
from mcpnb.notebook.nest import NestingError


@pytest.fixture
def patched():
    nest.install()
    yield
    nest.uninstall()


def in_a_running_loop(function):
    """What `function()` gives when it is called, like a cell, from code that a loop is running."""

    async def cell():
        return function()

    return asyncio.runners.run(cell())


# ---- asyncio.run


def test_a_script_that_ends_in_asyncio_run_works_while_a_loop_runs(patched):
    async def main() -> str:
        await asyncio.sleep(0)
        return "done"

    assert in_a_running_loop(lambda: asyncio.run(main())) == "done"


def test_without_a_running_loop_it_stays_on_this_thread(patched):
    async def main() -> int:
        return threading.get_ident()

    assert asyncio.run(main()) == threading.get_ident()


def test_errors_pass_through(patched):
    async def main() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        in_a_running_loop(lambda: asyncio.run(main()))


def test_exit_passes_through(patched):
    async def main() -> None:
        sys.exit(3)

    with pytest.raises(SystemExit):
        in_a_running_loop(lambda: asyncio.run(main()))


def test_options_pass_through(patched):
    async def main() -> bool:
        return asyncio.get_running_loop().get_debug()

    assert in_a_running_loop(lambda: asyncio.run(main(), debug=True))


def test_what_is_no_coroutine_is_refused_in_asyncios_words(patched):
    with pytest.raises((ValueError, TypeError), match=r"coroutine|awaitable"):
        in_a_running_loop(lambda: asyncio.run(3))


def test_context_variables_are_the_callers_and_changes_stay_inside(patched):
    variable = contextvars.ContextVar("variable", default="unset")

    async def main() -> str:
        seen = variable.get()
        variable.set("inner")
        return seen

    def cell() -> tuple[str, str]:
        variable.set("outer")
        return asyncio.run(main()), variable.get()

    assert in_a_running_loop(cell) == ("outer", "outer")


def test_a_script_inside_a_script_works(patched):
    async def inner() -> str:
        return "inner"

    async def outer() -> str:
        return asyncio.run(inner())

    assert in_a_running_loop(lambda: asyncio.run(outer())) == "inner"


def test_no_thread_is_left_behind(patched):
    before = set(threading.enumerate())

    async def main() -> threading.Thread:
        return threading.current_thread()

    thread = in_a_running_loop(lambda: asyncio.run(main()))
    thread.join()
    assert set(threading.enumerate()) <= before


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
def test_an_interrupt_cancels_main_lets_it_clean_up_and_is_raised(patched):
    cleaned: list[bool] = []

    async def main() -> None:
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cleaned.append(True)

    with pytest.raises(KeyboardInterrupt):
        cell_that_can_be_interrupted(lambda: asyncio.run(main()))
    assert cleaned == [True]


def cell_that_can_be_interrupted(function):
    """As `in_a_running_loop`, without asyncio's own handling of SIGINT: Jupyter has none either."""
    loop = asyncio.new_event_loop()
    raised: list[BaseException] = []

    def cell() -> None:
        try:
            function()
        except KeyboardInterrupt as error:
            raised.append(error)
        loop.stop()

    loop.call_soon(cell)
    loop.run_forever()
    loop.close()
    for error in raised:
        raise error


def test_installing_twice_and_uninstalling_once_leaves_the_original():
    original = asyncio.run
    nest.install()
    nest.install()
    assert nest.installed()
    nest.uninstall()
    assert asyncio.run is original
    nest.uninstall()
    assert asyncio.run is original


def test_uninstalling_leaves_a_later_patch_alone(monkeypatch):
    monkeypatch.setattr(asyncio, "run", asyncio.run)
    nest.install()
    other = SimpleNamespace()
    asyncio.run = other
    nest.uninstall()
    assert asyncio.run is other


# ---- nesting, in processes of their own: it cannot be undone


def run_script(text: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", textwrap.dedent(text)],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(("ipykernel", "name"), [((6, 29, 5), "nest_asyncio"), ((7, 4, 0), "nest_asyncio2")])
def test_nesting_takes_the_module_that_fits_and_everything_of_ours_still_works(ipykernel, name):
    out = run_script(
        f"""
        import asyncio
        from mcpnb.notebook import nest
        from mcpnb.portal import Portal

        portal = Portal()
        portal.call(asyncio.sleep, 0)  # before: its loop is of the class that nesting changes

        async def value(x):
            await asyncio.sleep(0)
            return x

        async def cell():
            print(nest.apply_nesting(ipykernel={ipykernel}))
            print(asyncio.get_running_loop().run_until_complete(value("nested")))
            print(asyncio.run(value("threaded")))
            print(portal.call(value, "portal"))
            print(nest.apply_nesting(ipykernel={ipykernel}))

        nest.install()
        asyncio.runners.run(cell())
        assert nest.nesting() == "{name}" and nest.installed()
        portal.close()
        print(Portal().call(value, "fresh portal"))
        """
    )
    assert out.splitlines() == [
        f"Nesting is on ({name}): loop.run_until_complete(...) works in cells of this kernel.",
        "nested",
        "threaded",
        "portal",
        f"Nesting is on already ({name}).",
        "fresh portal",
    ]


def test_nest_asyncio_under_a_new_ipykernel_is_refused_with_the_reason():
    out = run_script(
        """
        import asyncio, nest_asyncio
        from mcpnb.notebook import nest

        async def cell():
            nest_asyncio.apply()
            try:
                nest.apply_nesting(ipykernel=(7, 4, 0))
            except nest.NestingError as error:
                print(error)
            try:
                nest.refuse_to_undo_nesting()
            except nest.NestingError as error:
                print(error)

        asyncio.run(cell())
        """
    )
    assert "it loses cells" in out
    assert "cannot be undone" in out


def test_a_missing_module_is_refused_with_what_to_install():
    def load(name: str) -> None:
        raise ImportError(name)

    def cell() -> None:
        nest.apply_nesting(ipykernel=(7, 4, 0), load=load)

    with pytest.raises(NestingError, match="%pip install nest-asyncio2"):
        in_a_running_loop(cell)


def test_a_loop_that_is_not_asyncios_own_is_refused():
    with pytest.raises(NestingError, match="asyncio's own event loops only"):
        nest.apply_nesting(ipykernel=(7, 4, 0), loop=SimpleNamespace())


def test_without_a_running_loop_nesting_is_refused():
    with pytest.raises(NestingError, match="without nesting"):
        nest.apply_nesting(ipykernel=(7, 4, 0))


def test_nesting_that_never_was_on_is_off():
    assert nest.refuse_to_undo_nesting().startswith("Nesting is off")


def test_importing_mcpnb_and_loading_it_changes_nothing_of_asyncios_loops():
    out = run_script(
        """
        import asyncio
        before = dict(vars(asyncio.BaseEventLoop))
        import mcpnb, mcpnb.notebook.magics, mcpnb.portal
        print(dict(vars(asyncio.BaseEventLoop)) == before, asyncio.run is asyncio.runners.run)
        """
    )
    assert out.split() == ["True", "True"]
