"""Five servers in three groups of different schemas: what each policy makes of one name."""

from __future__ import annotations

import pytest

from mcpnb.catalog import POLICIES, Catalog, Choices, Documents, MergedEntry
from mcpnb.errors import AmbiguousTool, NoServerAvailable, ToolNotFound

VERSIONS = {"a": "1.2.0", "b": "0.9.0", "c": "10.0.0-beta.2", "d": "v1.10.0", "e": "2.0.0"}
GROUPS = [["a", "d"], ["b", "e"]]
TOWN = {"type": "string"}
SCHEMAS = {
    "a": {"location": TOWN},
    "b": {"location": TOWN, "days": {"type": "integer"}},
    "c": {"location": TOWN, "unit": {"enum": ["celsius", "fahrenheit"]}},
}
SCHEMAS |= {"d": SCHEMAS["a"], "e": SCHEMAS["b"]}
PRIORITIES = {"c": 3, "e": 9}


def schema(server: str) -> dict[str, object]:
    return {
        "type": "object", "properties": SCHEMAS[server], "required": ["location"],
        "additionalProperties": False,
    }  # fmt: skip


@pytest.fixture
def five(tool):
    def made(policy: str = "first_server", versions: dict[str, str | None] = VERSIONS, **options) -> Catalog:
        catalog = Catalog(replicas=GROUPS, policy=policy, **options)
        for server in VERSIONS:
            catalog.declare(server, priority=PRIORITIES.get(server, 0))
        for server in VERSIONS:
            catalog.update(server, [tool(schema=schema(server))], version=versions[server], at=0.0)
        return catalog

    return made


CHOSEN = {
    "first_server": (("a", "d"), "a was declared first"),
    "last_server": (("b", "e"), "e was declared last"),
    "newest_version": (("c",), "c has the newest version (10.0.0-beta.2)"),
    "oldest_version": (("b", "e"), "b has the oldest version (0.9.0)"),
    "server_priority": (("b", "e"), "b has the highest priority (9; declared first among equals)"),
    "user_preference": (("a", "d"), "no server is preferred; first_server: a was declared first"),
}


def test_there_are_eight_policies():
    assert list(POLICIES) == [*CHOSEN, "namespace", "merge"]


@pytest.mark.parametrize("policy", CHOSEN)
def test_a_policy_chooses_a_group_and_says_why(five, policy):
    catalog = five(policy)
    servers, why = CHOSEN[policy]
    found = catalog.resolve("forecast")
    assert found.servers == servers
    assert why in found.note
    (conflict,) = catalog.conflicts
    assert (conflict.policy, conflict.chosen) == (policy, servers[0])
    assert set(conflict.rejected) | set(servers) == set(VERSIONS)
    assert conflict.why.startswith(why)
    # None is thrown away: each group is still there, and each server can be named.
    assert {server for group in catalog.groups("tool", "forecast") for server in group.servers} == set(
        VERSIONS
    )
    assert all(catalog.resolve(f"{server}:forecast").servers == (server,) for server in VERSIONS)


def test_namespace_takes_only_pairs(five):
    catalog = five("namespace")
    with pytest.raises(AmbiguousTool):
        catalog.resolve("forecast")
    assert catalog.resolve("c:forecast").servers == ("c",)
    assert catalog.conflicts[0].chosen == ""


def test_merge_makes_one_tool_with_the_parameters_of_all(five):
    catalog = five("merge")
    found = catalog.resolve("forecast")
    assert isinstance(found.entry, MergedEntry)
    assert set(found.servers) == set(VERSIONS)
    assert [parameter.name for parameter in found.entry.parameters] == ["location", "days", "unit"]
    assert [parameter.required for parameter in found.entry.parameters] == [True, False, False]
    assert all(catalog.selected(entry) for entry in catalog.entries)
    assert catalog.conflicts[0].rejected == ()


def test_a_policy_of_its_own_overrules_the_default_until_it_is_taken_back(five):
    catalog = five()
    (event,) = catalog.adopt(catalog.choices.resolved("tool", "forecast", "newest_version"), at=7.0)
    assert (event.kind, event.data["chosen"], event.at) == ("conflict", "c", 7.0)
    assert catalog.resolve("forecast").servers == ("c",)
    assert catalog.adopt(catalog.choices.resolved("tool", "*", "last_server"), at=8.0) == []
    catalog.adopt(catalog.choices.resolved("tool", "forecast", None), at=9.0)
    assert catalog.resolve("forecast").servers == ("b", "e")


@pytest.mark.parametrize("every", ["*", "default"])
def test_the_policy_of_all_others_is_chosen_by_a_star_or_by_its_name(five, every):
    catalog = five()
    catalog.adopt(catalog.choices.resolved("tool", every, "last_server"), at=8.0)
    assert catalog.resolve("forecast").servers == ("b", "e")
    assert catalog.choices.policies == {}
    assert catalog.choices.resolved("prompt", every, None).policy == "first_server"


@pytest.mark.parametrize(
    ("wanted", "servers"),
    [(("e",), ("b", "e")), (("nobody", "c", "a"), ("c",)), (("nobody",), ("a", "d")), ((), ("a", "d"))],
)
def test_a_preference_means_the_first_wanted_server_that_offers_the_name(five, wanted, servers):
    catalog = five()
    catalog.adopt(catalog.choices.preferring("tool", "forecast", wanted), at=1.0)
    assert catalog.resolve("forecast").servers == servers


@pytest.mark.parametrize("default", POLICIES)
def test_a_preference_that_nobody_meets_falls_back_once(five, default):
    catalog = five(default)
    plain = five("first_server" if default == "user_preference" else default)
    catalog.adopt(catalog.choices.preferring("tool", "forecast", ("nobody", "none")), at=1.0)
    if default == "namespace":
        with pytest.raises(AmbiguousTool):
            catalog.resolve("forecast")
    else:
        assert catalog.resolve("forecast").servers == plain.resolve("forecast").servers
    assert "no preferred server offers it" in catalog.conflicts[0].why


def test_a_preference_stays_when_its_server_leaves_and_comes_back(five, tool):
    catalog = five()
    catalog.adopt(catalog.choices.preferring("tool", "forecast", ("c",)), at=1.0)
    catalog.remove("c", at=2.0)
    assert catalog.resolve("forecast").servers == ("a", "d")
    catalog.update("c", [tool(schema=schema("c"))], version="3", at=3.0)
    assert catalog.resolve("forecast").servers == ("c",)


def test_a_chosen_priority_overrules_the_configs_and_can_be_taken_back(five):
    catalog = five("server_priority")
    catalog.adopt(catalog.choices.prioritising("d", 10), at=1.0)
    assert catalog.resolve("forecast").servers == ("a", "d")
    assert catalog.priority("d") == 10
    catalog.adopt(catalog.choices.prioritising("d", None), at=2.0)
    assert catalog.resolve("forecast").servers == ("b", "e")


@pytest.mark.parametrize("policy", ["newest_version", "oldest_version"])
def test_unknown_and_odd_versions_rank_last(five, policy):
    odd = dict.fromkeys(VERSIONS) | {"c": "latest", "e": "0.0.1-alpha"}
    assert five(policy, odd).resolve("forecast").servers == ("b", "e")
    nothing = five(policy, dict.fromkeys(VERSIONS))
    assert nothing.resolve("forecast").servers == ("a", "d")
    assert "no version can be compared" in nothing.conflicts[0].why


def test_a_tools_own_version_counts_before_its_servers(tool):
    catalog = Catalog(policy="newest_version")
    catalog.update("a", [tool(_meta={"version": "3.0"})], version="1.0", at=0.0)
    catalog.update("b", [tool()], version="2.0", at=0.0)
    assert catalog.resolve("forecast").servers == ("a",)


@pytest.mark.parametrize(
    ("version", "servers"),
    [(">=1.5", ("a", "d")), (">=2", ("b", "e")), (">=10.0.0-beta.1", ("c",)), ("0.9", ("b", "e"))],
)
def test_a_demanded_version_means_the_best_ranked_group_that_has_it(five, version, servers):
    found = five().resolve("forecast", version=version)
    assert found.servers == servers
    assert f"first_server, version {version}" in found.note


def test_a_version_that_nobody_has_tells_each_servers_own(five):
    with pytest.raises(NoServerAvailable) as caught:
        five().resolve("forecast", version=">=11")
    assert caught.value.reasons["a"] == "its version is 1.2.0, and >=11 is asked for"
    assert set(caught.value.reasons) == set(VERSIONS)


# -- resources and prompts


class _Item:
    """A resource, template or prompt, as far as the catalog reads it."""

    def __init__(self, name: str, *arguments: str, mime: str | None = None) -> None:
        from types import SimpleNamespace

        self.name = self.uri = self.uri_template = name
        self.mime_type, self.title, self.description, self.meta = mime, None, None, None
        self.arguments = [SimpleNamespace(name=each, required=True) for each in arguments]


@pytest.fixture
def papers():
    def made(policy: str = "first_server") -> Catalog:
        catalog = Catalog(replicas=[["a", "c"]], policy=policy)
        for server, mime in {
            "a": "text/plain",
            "b": "text/plain",
            "c": "text/plain",
            "d": "text/html",
        }.items():
            takes = ("who",) if server != "d" else ("who", "how")
            listed = Documents(
                [_Item("note://1", mime=mime)], [_Item("log://{day}")], [_Item("greet", *takes)]
            )
            catalog.update(server, [], version="1", documents=listed, at=0.0)
        return catalog

    return made


def everywhere(name: str) -> dict[str, str]:
    return dict.fromkeys("abcd", name)


@pytest.mark.parametrize(("kind", "name"), [("resource", "note://1"), ("prompt", "greet")])
def test_resources_and_prompts_have_replicas_policies_and_conflicts_too(papers, kind, name):
    catalog = papers()
    listed, servers, note = catalog.resolve_document(kind, name, everywhere(name))
    assert (listed, servers) == (name, ("a", "c"))
    assert "a was declared first" in note
    assert (kind, name, "a") in {(c.kind, c.tool, c.chosen) for c in catalog.conflicts}
    catalog.adopt(catalog.choices.preferring(kind, name, ("d",)), at=1.0)
    assert catalog.resolve_document(kind, name, everywhere(name))[1] == ("d",)
    with pytest.raises(AmbiguousTool):
        papers("namespace").resolve_document(kind, name, everywhere(name))
    assert papers("merge").resolve_document(kind, name, everywhere(name))[1] == ("a", "c")


def test_a_listing_that_names_a_resource_goes_before_templates_that_fit_it(papers):
    offers = {"a": "log://{day}", "b": "note://1", "c": "log://{day}"}
    assert papers().resolve_document("resource", "note://1", offers)[:2] == ("note://1", ("b",))
    fitting = papers().resolve_document("resource", "log://monday", everywhere("log://{day}"))
    assert fitting[:2] == ("log://{day}", ("a", "c"))


def test_what_no_listing_has_is_not_found(papers):
    with pytest.raises(ToolNotFound):
        papers().resolve_document("prompt", "nothing", {"a": "nothing"})


def test_the_same_name_of_a_tool_and_of_a_prompt_is_no_conflict(tool):
    catalog = Catalog()
    catalog.update("a", [tool("greet")], at=0.0)
    catalog.update("b", [], documents=Documents(prompts=[_Item("greet")]), at=0.0)
    assert catalog.conflicts == ()


# -- hostile names


@pytest.mark.parametrize(
    "name", ["c:forecast", "日本語 ☂", "a" * 100_000, "*", "", "../etc", "\u202eevil", "a:b:c"]
)
def test_odd_names_are_names(tool, name):
    catalog = Catalog(policy="newest_version")
    catalog.update("a", [tool(name)], version="1", at=0.0)
    catalog.update("b", [tool(name)], version="2", at=0.0)
    assert catalog.resolve(name).servers == ("b",)
    catalog.adopt(catalog.choices.preferring("tool", name, ("a",)), at=1.0)
    assert catalog.resolve(name).servers == ("a",)
    assert catalog.resolve(f"b:{name}").servers == ("b",)
    assert catalog.resolve(name, server="b").entry.name == name


def test_what_is_not_offered_by_a_server_cannot_be_preferred_there(five):
    catalog = five()
    catalog.offered("tool", "forecast", "a")
    with pytest.raises(ToolNotFound):
        catalog.offered("tool", "translate", "a")


def test_an_unknown_policy_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"Did you mean newest_version\?.*first_server"):
        Choices().resolved("tool", "forecast", "newest")
