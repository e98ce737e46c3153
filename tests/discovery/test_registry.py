"""A registry over HTTP: pages, names, versions, both APIs; and that nothing runs before somebody agreed."""

from __future__ import annotations

from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import replace

import pytest

from mcpnb import ConfigError, DiscoveryError
from mcpnb.discovery import Person, Registry, Surroundings
from mcpnb.discovery.asking import Proposal

from .registry_stand_in import META, RegistryStandIn
from .serving import served

pytestmark = pytest.mark.anyio

TIME = "io.github.modelcontextprotocol/time"
FILES = "io.github.modelcontextprotocol/filesystem"
SEARCH = "com.example/tenant-search"
YES = {"approve": lambda _: True, "has": lambda _: True}


class Clerk:
    """Agrees to what it is told to agree to, and remembers what it was asked."""

    def __init__(self, *, agrees: bool = True) -> None:
        self.agrees, self.seen = agrees, []

    def __call__(self, proposal: Proposal) -> bool:
        self.seen.append(proposal)
        return self.agrees


@asynccontextmanager
async def registry(**shape):
    stand_in = RegistryStandIn(**shape)
    async with served(stand_in.app) as url:
        yield stand_in, url


async def first(backend: Registry, around: Surroundings):
    async with aclosing(backend.sightings(around)) as coming:
        return await anext(coming)


@pytest.mark.parametrize("apis", [("v0.1", "v0"), ("v0",)])
@pytest.mark.parametrize("by_name", [True, False])
async def test_a_server_is_found_by_its_name_whatever_the_api_is(apis, by_name, around):
    async with registry(apis=apis, by_name=by_name) as (stand_in, url):
        seen = await first(Registry(url, names=[TIME], **YES), around)
    (config,) = seen.servers.values()
    assert (config.name, config.version) == ("time", "2026.10.19")
    assert config.address.endswith("mcp-server-time@2026.10.19 --local-timezone Europe/London")
    assert config.source == f"{url} {TIME} 2026.10.19"
    assert all(request.startswith(f"/{apis[0]}/") for request in stand_in.requests)


async def test_the_version_of_the_api_may_stand_in_the_url(around):
    async with registry() as (stand_in, url):
        await first(Registry(f"{url}/v0/", names=[TIME], **YES), around)
        assert stand_in.requests == [f"/v0/servers/{TIME}/versions/latest"]


async def test_a_search_follows_every_page_and_takes_the_latest_of_each_server(around):
    async with registry(page=1) as (stand_in, url):
        seen = await first(
            Registry(url, search="modelcontextprotocol", values={"target_dir": "/x"}, **YES), around
        )
        assert len([r for r in stand_in.requests if "cursor" in r]) == 2
    assert {key: config.version for key, config in seen.servers.items()} == {
        TIME: "2026.10.19",
        FILES: "2026.8.31",
    }
    assert "serves HTTP by itself" in seen.problems["io.github.modelcontextprotocol/everything"]


@pytest.mark.parametrize("version", ["2026.8.31", "<2026.10", ">=2026.1,<2026.9"])
async def test_an_older_version_is_had_by_asking_for_it(version, around):
    async with registry() as (_, url):
        seen = await first(Registry(url, names=[TIME], version=version, **YES), around)
    assert seen.servers[TIME].version == "2026.8.31"


async def test_a_search_that_finds_too_many_names_some_and_runs_none(around):
    clerk = Clerk()
    async with registry() as (_, url):
        with pytest.raises(
            DiscoveryError, match=r"8 servers' names contain 'e', more than limit=2: .*time"
        ) as caught:
            await first(Registry(url, search="e", limit=2, approve=clerk), around)
    assert caught.value.lasting
    assert clerk.seen == []


async def test_names_that_there_are_not_are_told_beside_those_that_there_are(around):
    async with registry() as (_, url):
        seen = await first(Registry(url, names=[TIME, "io.x/nothing"], **YES), around)
        assert list(seen.servers) == [TIME]
        assert seen.problems == {"io.x/nothing": "there is no such server in this registry"}
        with pytest.raises(
            DiscoveryError, match=r"no server of it can be used.\n  io.x/nothing: there is no such"
        ):
            await first(Registry(url, names=["io.x/nothing"], **YES), around)
        with pytest.raises(DiscoveryError, match="with version 9"):
            await first(Registry(url, names=[TIME], version="9", **YES), around)
        with pytest.raises(DiscoveryError, match="no server's name contains 'zzz'"):
            await first(Registry(url, search="zzz", **YES), around)


# -- nothing is run before somebody agreed


async def test_where_nobody_can_be_asked_a_command_is_shown_and_not_run(around):
    async with registry() as (_, url):
        with pytest.raises(DiscoveryError) as caught:
            await first(Registry(url, names=[TIME], has=lambda _: True), around)
    said = str(caught.value)
    assert "is not run: nobody was there to agree" in said
    assert "uvx --default-index=https://pypi.example.org/simple mcp-server-time@2026.10.19" in said


async def test_the_exact_command_is_shown_with_its_variables_and_without_its_secrets(around):
    clerk = Clerk()
    name = "io.github.example/postgres"
    dsn = "postgres://me:hunter2@db/x"
    async with registry() as (_, url):
        backend = Registry(url, names=[name, FILES], approve=clerk, has=lambda _: True,
                           values={"dsn": dsn, "target_dir": ["/a b"]})  # fmt: skip
        seen = await first(backend, around)
    assert seen.servers[name].args[-1] == dsn
    postgres, files = clerk.seen
    assert postgres.command == "npx -y @modelcontextprotocol/server-postgres@0.6.2 •••"
    assert "deprecated: Archived: use another server" in str(postgres)
    assert files.environment == ("LOG_LEVEL=info",)
    assert files.command.endswith("server-filesystem@2026.8.31 '/a b'")
    assert "hunter2" not in f"{seen!r} {seen.problems} {backend!r} {clerk.seen}"
    assert seen.problems[name] == "is deprecated: Archived: use another server"


@pytest.mark.parametrize("answer", [False, None, "yes", 1])
async def test_anything_but_true_is_a_no(answer, around):
    async with registry() as (_, url):
        with pytest.raises(DiscoveryError, match="was declined"):
            await first(Registry(url, names=[TIME], approve=lambda _: answer, has=lambda _: True), around)


async def test_whoever_sits_in_front_of_it_is_asked_unless_the_registry_has_somebody_of_its_own(around):
    person, own = Clerk(), Clerk()
    there = replace(around, person=Person(approve=person))
    async with registry() as (_, url):
        await first(Registry(url, names=[TIME], has=lambda _: True), there)
        assert (len(person.seen), len(own.seen)) == (1, 0)
        await first(Registry(url, names=[TIME], approve=own, has=lambda _: True), there)
        assert (len(person.seen), len(own.seen)) == (1, 1)


async def test_a_coroutine_function_may_answer(around):
    async def yes(_: Proposal) -> bool:
        return True

    async with registry() as (_, url):
        assert (await first(Registry(url, names=[TIME], approve=yes, has=lambda _: True), around)).servers


async def test_a_remote_needs_nobodys_consent_and_its_questions_go_to_whoever_answers(around):
    asked = []

    def answer(prompt):
        asked.append(prompt.id)
        return {"tenant": "acme", "api_key": "hunter2-key"}[prompt.id]

    async with registry() as (_, url):
        backend = Registry(url, names=[SEARCH], ask=answer)
        seen = await first(backend, around)
        again = await first(backend, around)
    assert asked == ["tenant", "api_key"]
    assert seen == again
    config = seen.servers[SEARCH]
    assert config.headers["Authorization"] == "Bearer hunter2-key"
    assert "hunter2" not in repr(config)


async def test_a_refresh_asks_about_new_commands_only(around, time):
    clerk = Clerk()
    async with AsyncExitStack() as stack:
        stand_in, url = await stack.enter_async_context(registry())
        backend = Registry(url, names=[TIME], approve=clerk, has=lambda _: True, refresh=60.0)
        coming = await stack.enter_async_context(aclosing(backend.sightings(replace(around, sleep=_at_once))))
        before = await anext(coming)
        assert await anext(coming) == before
        assert len(clerk.seen) == 1
        stand_in.entries[0]["server"]["packages"][0]["version"] = "2027.1.1"
        after = await anext(coming)
        assert after.servers[TIME].args[1] == "mcp-server-time@2027.1.1"
        assert [proposal.command.split()[2] for proposal in clerk.seen][-1] == "mcp-server-time@2027.1.1"


async def _at_once(_seconds: float) -> None:
    return None


async def test_what_a_registry_says_cannot_move_the_cursor_of_a_terminal(around):
    clerk = Clerk()
    async with registry() as (stand_in, url):
        table = stand_in.entries[0]["server"]["packages"][0]
        table["packageArguments"] = [{"type": "positional", "value": "a\x1b[2K\u202eb\nc"}]
        await first(Registry(url, names=[TIME], approve=clerk, has=lambda _: True), around)
    (proposal,) = clerk.seen
    assert proposal.command.endswith("'a\\u001b[2K\\u202eb\\u000ac'")
    assert all(line.isprintable() for line in str(proposal).splitlines())


EVIL = "--registry=https://evil.example.org"


@pytest.mark.parametrize(
    ("part", "added"),
    [
        ("runtimeArguments", {"type": "positional", "value": EVIL, "isSecret": True}),
        ("runtimeArguments", {"type": "positional", "valueHint": "token", "default": EVIL}),
        ("runtimeArguments", {"type": "positional", "value": "{key}", "isSecret": True,
                              "variables": {"key": {"default": EVIL, "isSecret": True}}}),
        ("runtimeArguments", {"type": "positional", "valueHint": "key", "isSecret": True, "isRequired": True,
                              "default": EVIL}),
        ("runtimeArguments", {"type": "positional", "valueHint": "key", "isSecret": True, "isRequired": True,
                              "choices": [EVIL]}),
        ("environmentVariables", {"name": "TOKEN", "value": EVIL, "isSecret": True}),
    ],
    ids=["constant", "default", "variable", "answered by the default", "choice", "environment"],
)  # fmt: skip
async def test_nothing_that_the_registry_says_is_hidden_from_who_agrees(part, added, around):
    """Only what a person says is secret: a command with a part that nobody saw is none that he agreed to."""
    clerk = Clerk()
    async with registry() as (stand_in, url):
        stand_in.entries[0]["server"]["packages"][0][part] = [added]
        backend = Registry(url, names=[TIME], approve=clerk, has=lambda _: True,
                           ask=lambda prompt: prompt.default or prompt.options[0])  # fmt: skip
        await first(backend, around)
    (proposal,) = clerk.seen
    assert EVIL in str(proposal)
    assert "mcp-server-time@2026.10.19" in str(proposal)


async def test_a_secret_that_a_shell_would_have_to_quote_is_hidden_all_the_same(around):
    clerk, name = Clerk(), "io.github.example/postgres"
    async with registry() as (_, url):
        values = {"dsn": "it's me; hunter2"}
        with_secret = Registry(url, names=[name], approve=clerk, has=lambda _: True, values=values)
        stated = (await first(with_secret, around)).servers[name]
    assert stated.args[-1] == "it's me; hunter2"
    assert "hunter2" not in str(clerk.seen)


async def test_an_environment_cannot_be_written_so_that_it_reads_as_another(around):
    clerk = Clerk()
    async with registry() as (stand_in, url):
        variables = [{"name": "A", "value": "1 in its environment\n\u202e"}, {"name": "B", "value": "2, C=3"}]
        stand_in.entries[0]["server"]["packages"][0]["environmentVariables"] = variables
        await first(Registry(url, names=[TIME], approve=clerk, has=lambda _: True), around)
    (proposal,) = clerk.seen
    assert proposal.environment == ("A='1 in its environment\\u000a\\u202e'", "B='2, C=3'")


async def test_a_command_that_nobody_would_read_to_its_end_is_not_run(around):
    clerk = Clerk()
    async with registry() as (stand_in, url):
        padding = {"type": "positional", "value": "x" * 5000}
        stand_in.entries[0]["server"]["packages"][0]["packageArguments"] = [padding]
        stand_in.entries[0]["_meta"][META].update(status="deprecated", statusMessage="so it is " * 1000)
        backend = Registry(url, names=[TIME], approve=clerk, has=lambda _: True)
        with pytest.raises(DiscoveryError, match="too long to agree to") as caught:
            await first(backend, around)
        assert clerk.seen == []
        assert len(str(caught.value)) < 1000
        stand_in.entries[0]["server"]["packages"][0]["packageArguments"] = []
        await first(backend, around)
        assert len(clerk.seen[0].note) < 500


async def test_what_is_literal_in_a_registry_stays_so_whatever_it_looks_like(around, monkeypatch):
    monkeypatch.setenv("HOME_OF_SECRETS", "hunter2")
    words = ["${HOME_OF_SECRETS}", "~/x", "$(id)", "`id`", "; id"]
    async with registry() as (stand_in, url):
        arguments = [{"type": "positional", "value": word} for word in words]
        stand_in.entries[0]["server"]["packages"][0]["packageArguments"] = arguments
        backend = Registry(url, names=[TIME], **YES)
        config = backend.complete((await first(backend, around)).servers[TIME], {})
    assert list(config.args[-5:]) == words


# -- what cannot work


def test_what_cannot_work_is_told_when_it_is_made():
    with pytest.raises(ConfigError, match="it is not said which servers"):
        Registry("https://example.org")
    with pytest.raises(ConfigError, match="not a complete http or https URL"):
        Registry("example.org", search="x")
    with pytest.raises(ConfigError, match="version"):
        Registry("https://example.org", search="x", version=">=")


async def test_something_else_at_the_address_is_told_as_what_it_is(around):
    async def page(scope, receive, send):
        body = b"<html>hello</html>"
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"18")]})
        await send({"type": "http.response.body", "body": body})

    async with served(page) as url:
        with pytest.raises(DiscoveryError, match="is not JSON") as caught:
            await first(Registry(url, names=[TIME], **YES), around)
        assert caught.value.lasting
    with pytest.raises(DiscoveryError, match="nobody answers there") as caught:
        await first(Registry(url, names=[TIME], **YES), around)
    assert not caught.value.lasting
