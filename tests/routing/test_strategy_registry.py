"""Strategies by name: registered by function or decorator, brought along by others, configured."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest

import mcpnb
from mcpnb.errors import StrategyError
from mcpnb.model import Endpoint, Request
from mcpnb.routing import Dispatcher, Send
from mcpnb.routing.node import Node
from mcpnb.routing.strategies import Parameter, Strategy, available, parameters_of, register, registry, spec
from mcpnb.routing.strategies.latency import Latency
from mcpnb.routing.strategies.p2c import P2C


class Nth(Strategy):
    """Always the same place of the list."""

    name = "nth"
    aliases = ("by_place",)
    help = "always the same one"
    parameters = (Parameter("place", 0, 0, 9, "which one, from 0"),)

    def __init__(self, place: int = 0) -> None:
        self.place = place

    def pick(self, eligible, now, rng):
        return eligible[self.place]


def two_choices():
    return P2C()


def needs_more(y):
    return P2C()


@pytest.fixture(autouse=True)
def _own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test registers is gone after it, and no plug-in was looked for before."""
    monkeypatch.setattr(registry, "_registered", dict(registry._registered))
    monkeypatch.setattr(registry, "_aliases", dict(registry._aliases))
    monkeypatch.setattr(registry._Plugins, "asked", False)


def sent_to(strategy) -> str:
    brain = Dispatcher(strategy, rng=random.Random(1))
    for name in "abc":
        brain.add(Endpoint(name))
    return next(
        a for a in brain.submit(Request(1, "t", tuple("abc")), 0.0) if isinstance(a, Send)
    ).attempt.server


# -- by function and by decorator


def test_a_class_is_used_by_its_name_and_its_alias_with_its_parameters():
    assert mcpnb.register_strategy(Nth) is Nth
    assert sent_to(spec("nth")) == "a"
    assert sent_to(spec("by_place", place=2)) == "c"
    assert parameters_of("by_place") == Nth.parameters


def test_registering_is_a_decorator_with_and_without_keywords():
    @mcpnb.register_strategy
    class Last(Strategy):
        name = "last_for_test"

        def pick(self, eligible, now, rng):
            return eligible[-1]

    @mcpnb.register_strategy(name="calm", parameters=[Parameter("epsilon", 0.01, 0.0, 0.1, "curiosity")])
    def calm(epsilon: float) -> Strategy:
        """Looks around less.

        Not shown in a menu.
        """
        return Latency(epsilon=epsilon, tau=60.0)

    assert sent_to("last_for_test") == "c"
    assert available()["calm"].help == "Looks around less."
    assert spec("calm").build()._epsilon == 0.01


def test_a_factory_and_its_parameters_make_a_strategy_under_its_own_name():
    register(Nth, name="third", parameters=[Parameter("place", 2, 2, 2, "fixed")])
    assert sent_to("third") == "c"
    assert spec("third").build().name == "third"
    register(two_choices, name="mine", aliases=["own"], help="just mine")
    brain = Dispatcher("own", rng=random.Random(1))
    brain.add(Endpoint("a"))
    (send, *_) = brain.submit(Request(1, "t", ("a",)), 0.0)
    assert send.attempt.strategy == "mine"
    assert P2C().name == "p2c"


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"place": 10}, "between 0 and 9, not 10"),
        ({"place": 1.5}, "a whole number, not 1.5"),
        ({"place": "b"}, "must be a number"),
        ({"place": True}, "must be a number"),
        ({"place": float("nan")}, "between 0 and 9, not nan"),
        ({"plaice": 1}, r"no parameter 'plaice', but \['place'\]"),
    ],
)
def test_settings_are_checked_by_type_and_bounds_whichever_way_it_is_named(values, says):
    register(Nth)
    for choice in ("nth", "by_place", Nth):
        with pytest.raises(StrategyError, match=says) as caught:
            spec(choice, **values)
        assert caught.value.strategy == "nth"


def test_a_whole_number_stays_one_and_others_become_floats():
    register(Nth)
    assert type(spec("nth", place=2.0).build().place) is int
    assert type(spec("latency", tau=2).values["tau"]) is float


def test_a_default_out_of_bounds_is_refused_where_it_is_declared():
    with pytest.raises(ValueError, match="between 0 and 1, not 2"):
        Parameter("p", 2.0, 0.0, 1.0, "")


@pytest.mark.parametrize(
    ("strategy", "keywords", "says"),
    [
        (type("Other", (Strategy,), {"name": "p2c"}), {}, "taken by P2C"),
        (type("Other", (Strategy,), {"name": "other", "aliases": ("failover",)}), {}, "taken by Priority"),
        (type("Other", (Strategy,), {}), {}, "needs a name"),
        (two_choices, {}, "needs a name"),
        (two_choices, {"name": "p2c"}, "taken by P2C"),
        (two_choices, {"name": "x", "parameters": [Parameter("y", 0, 0, 1, "")]}, "'y'"),
        (needs_more, {"name": "x"}, "'y'"),
        (int, {"name": "x"}, "neither a Strategy class nor a function"),
        (P2C(), {"name": "x"}, "neither a Strategy class nor a function"),
    ],
)
def test_what_cannot_be_registered_is_refused_and_changes_nothing(strategy, keywords, says):
    before = dict(available())
    with pytest.raises(StrategyError, match=says):
        register(strategy, **keywords)
    assert available() == before
    assert spec("failover").name == "priority"


def test_registering_the_same_again_changes_nothing():
    register(Nth)
    register(Nth)
    assert available()["nth"].factory is Nth


def test_a_factory_that_makes_something_else_is_named():
    register(lambda: "p2c", name="text")
    with pytest.raises(StrategyError, match="'text': its factory made 'p2c'"):
        spec("text").build()


@pytest.mark.parametrize("choice", [42, None, int, two_choices])
def test_what_is_no_strategy_at_all_is_refused(choice):
    with pytest.raises(StrategyError):
        spec(choice)


def test_an_object_cannot_be_configured_again():
    for choice in (Latency(), spec("latency")):
        with pytest.raises(StrategyError, match=r"configured already; \['tau'\]"):
            spec(choice, tau=3.0)


@pytest.mark.parametrize("name", sorted(available()))
def test_defaults_are_the_constructors_own(name):
    import inspect

    entry = available()[name]
    own = inspect.signature(entry.factory).parameters
    for parameter in entry.parameters:
        assert own[parameter.name].default == parameter.default
        assert parameter.help
    assert entry.help


@pytest.mark.parametrize("name", sorted(available()))
@pytest.mark.parametrize("end", ["minimum", "maximum"])
def test_every_strategy_works_at_the_ends_of_its_parameters(name, end):
    values = {parameter.name: getattr(parameter, end) for parameter in available()[name].parameters}
    strategy, rng = spec(name, **values).build(), random.Random(1)
    nodes = [Node(Endpoint(f"s{i}"), i) for i in range(70)]
    for node in nodes:
        strategy.added(node, 0.0)
    for now in range(200):
        node = strategy.pick(nodes, now, rng)
        node.lease()
        strategy.started(node, now)
        node.release()
        strategy.finished(node, "refused" if now % 3 else "ok", 0.1, now)


# -- by entry point


def install(folder: Path, entry_points: str, code: str = "", *, name: str = "their-routing") -> None:
    module = name.replace("-", "_")
    (folder / f"{module}.py").write_text(code)
    info = folder / f"{module}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[mcpnb.strategies]\n{entry_points}\n")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for path in tmp_path.glob("*.py"):
        sys.modules.pop(path.stem, None)


LAST = """
from mcpnb import Strategy
from mcpnb.routing.strategies import Parameter, register

class Last(Strategy):
    name = "their_last"
    help = "the last of the list"

    def pick(self, eligible, now, rng):
        return eligible[-1]

class Nameless(Last):
    name = ""

def make():
    return Last()

@register(name="their_tuned", parameters=[Parameter("back", 1, 1, 3, "how far from the end")])
def tuned(back):
    return Last()

number = 42
"""


def test_a_distributions_strategies_are_there_by_name(site):
    points = "\n".join(f"{name} = their_routing:{what}" for name, what in {
        "their_last": "Last", "their_factory": "make", "their_nameless": "Nameless", "their_tuned": "tuned",
    }.items())  # fmt: skip
    install(site, points, LAST)
    assert sent_to("their_last") == "c"
    assert {"their_last", "their_factory", "their_nameless", "their_tuned"} <= set(available())
    assert spec("their_nameless").build().name == "their_nameless"
    assert "their_tuned" in mcpnb.strategies().index
    with pytest.raises(StrategyError, match="back must lie between 1 and 3"):
        spec("their_tuned", back=7)


def test_plug_ins_are_loaded_once_and_only_when_somebody_asks(site):
    install(site, "their_last = their_routing:Last", LAST + "\nprint('imported')\n")
    spec("p2c").build()
    assert "their_routing" not in sys.modules
    assert "their_last" in available()
    install(site, "later = later:Last", LAST.replace("their_", "later_"), name="later")
    assert "later_last" not in available()


def test_a_plug_in_that_does_not_work_is_named_once_and_breaks_nothing(site):
    install(
        site,
        "broken = their_routing:Missing\nnumber = their_routing:number\ntheir_last = their_routing:Last",
        LAST,
    )
    install(site, "gone = nowhere.at_all:Last", name="other-routing")
    with pytest.warns(RuntimeWarning) as caught:
        known = available()
    said = sorted(str(warning.message) for warning in caught)
    assert len(said) == 3
    assert "other-routing: the entry point 'gone' (nowhere.at_all:Last)" in said[0]
    assert "their-routing: the entry point 'broken' (their_routing:Missing)" in said[1]
    assert "TypeError: 42 is neither a Strategy class" in said[2]
    assert "their_last" in known
    assert available() == known


def test_a_plug_in_that_takes_one_of_our_names_is_refused_with_a_warning(site):
    install(site, "p2c = their_routing:make\nlatency_based = their_routing:Nameless", LAST)
    with pytest.warns(RuntimeWarning, match=r"their-routing: .* taken by (P2C|Latency)") as caught:
        assert available()["p2c"].factory is P2C
    assert len(caught) == 2
    assert spec("latency_based").name == "latency"


def test_an_unknown_name_is_looked_for_among_the_plug_ins_and_then_refused(site):
    install(site, "their_last = their_routing:Last", LAST)
    with pytest.raises(StrategyError, match=r"Did you mean their_last\b"):
        spec("their_lost")


def test_using_our_own_strategies_never_looks_for_plug_ins():
    code = (
        "import sys, random; from mcpnb.routing import Dispatcher; Dispatcher('p2c', rng=random.Random(1))\n"
        "from mcpnb.routing.strategies import registry; print(registry._Plugins.asked)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("latency", "latency"),
        ("latency_based(tau=5)", "latency(tau=5)"),
        (" latency( tau = 5, epsilon=0.2 ) ", "latency(tau=5, epsilon=0.2)"),
        ("latency()", "latency"),
    ],
)
def test_a_strategy_is_named_with_its_settings(text, means):
    assert str(spec(text)) == means
    assert spec(str(spec(text))) == spec(text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("latency(tau)", "'latency': a setting reads `parameter=number`, not 'tau'"),
        ("latency(tau=soon)", "not 'tau=soon'"),
        ("latency(tau=-1)", "tau must lie between"),
        ("latency(tau=5", r"its settings end with `\)`"),
        ("latency(tau=5, tau=6)", "tau is set twice"),
        ("latncy(tau=1)", r"Did you mean latency\b"),
    ],
)
def test_settings_that_cannot_be_read_are_explained(text, says):
    with pytest.raises(StrategyError, match=says):
        spec(text)
