"""A registry's entries as commands and addresses: what is run, what is asked, what is explained instead."""

from __future__ import annotations

import pytest

from mcpnb import ConfigError
from mcpnb.discovery import commands
from mcpnb.discovery.commands import command_of, remote_of, ways
from mcpnb.discovery.inputs import Inputs
from mcpnb.discovery.server_json import Entry, chosen, page_of

from .registry_stand_in import sampled

pytestmark = pytest.mark.anyio

SAMPLES = {
    f"{entry.name.rpartition('/')[2]} {entry.version}": entry
    for item in sampled()
    for entry in page_of(item).entries
}


class Asked:
    """Answers questions, and remembers them."""

    def __init__(self, **answers: str) -> None:
        self.answers, self.prompts = answers, []

    async def __call__(self, prompt):
        self.prompts.append(prompt)
        return self.answers.get(prompt.id.replace("-", "_"))


def inputs(asked=None, **values) -> Inputs:
    return Inputs("a server", values, asked or Asked(), {})


def package(kind="npm", identifier="pkg", **more) -> Entry:
    table = {
        "registryType": kind,
        "identifier": identifier,
        "version": "1.0",
        "transport": {"type": "stdio"},
        **more,
    }
    return Entry("io.x/thing", "1.0", packages=(table,))


async def run(entry: Entry, given: Inputs | None = None) -> list[str]:
    good, _ = ways(entry, "package", lambda _: True)
    config = await command_of(entry, good[0], given or inputs())
    return [config.command or "", *config.args]


async def test_a_python_package_runs_with_uvx_at_its_version_with_its_defaults():
    assert await run(SAMPLES["time 2026.10.19"]) == [
        "uvx", "--default-index=https://pypi.example.org/simple", "mcp-server-time@2026.10.19",
        "--local-timezone", "Europe/London",
    ]  # fmt: skip


async def test_an_npm_package_runs_with_npx_without_a_question_and_a_repeated_argument_several_times():
    words = await run(SAMPLES["filesystem 2026.8.31"], inputs(target_dir=["/a b", "/c"]))
    assert words == [
        "npx", "-y", "--registry=https://npm.example.org",
        "@modelcontextprotocol/server-filesystem@2026.8.31", "/a b", "/c",
    ]  # fmt: skip


async def test_a_container_gets_the_names_of_its_variables_on_the_command_line_and_their_values_beside_it():
    entry = package(
        "oci", "ghcr.io/x/y", environmentVariables=[{"name": "TOKEN", "isRequired": True, "isSecret": True}]
    )
    (way,), _ = ways(entry, "package", lambda _: True)
    given = inputs(TOKEN="hunter2")
    config = await command_of(entry, way, given)
    assert config.args == ("run", "-i", "--rm", "-e", "TOKEN", "ghcr.io/x/y:1.0")
    assert (config.env["TOKEN"], config.hidden) == ("hunter2", {"hunter2"})
    assert "hunter2" not in repr(config)


async def test_the_variables_of_a_template_are_filled_in_once_and_not_searched_again():
    (_, oci), _ = ways(SAMPLES["filesystem 2026.8.31"], "package", lambda _: True)
    given = inputs(source_path="/x{target_path}", target_path="/y")
    config = await command_of(SAMPLES["filesystem 2026.8.31"], oci, given)
    assert config.args == (
        "run", "-i", "--rm", "--mount", "type=bind,src=/x{target_path},dst=/y",
        "docker.io/mcp/filesystem:1.0.2", "/project",
    )  # fmt: skip


async def test_named_arguments_are_two_words_booleans_are_flags_and_what_has_no_value_is_left_out():
    arguments = [
        {"type": "named", "name": "--port", "value": "1"}, {"type": "named", "name": "--fast"},
        {"type": "named", "name": "--log", "description": "a file"},
        {"type": "named", "name": "--yes", "format": "boolean", "default": "true"},
        {"type": "named", "name": "--no", "format": "boolean", "default": "false"},
        {"type": "positional", "value": "{not declared}"},
    ]  # fmt: skip
    entry = package(runtimeArguments=[{"type": "named", "name": "--yes"}], packageArguments=arguments)
    assert await run(entry) == [
        "npx", "--yes", "pkg@1.0", "--port", "1", "--fast", "--yes", "{not declared}",
    ]  # fmt: skip


async def test_a_remote_gets_its_url_and_headers_and_asks_for_what_is_required_once():
    entry, asked = SAMPLES["tenant-search 1.4.0"], Asked(tenant="", api_key="hunter2-key")
    (first, second), _ = ways(entry, "remote", lambda _: False)
    answers: dict[str, str] = {}
    config = await remote_of(entry, first, Inputs(entry.name, {}, asked, answers))
    assert (config.transport, config.url) == ("http", "http://acme.localhost:27442/mcp")
    assert dict(config.headers) == {"Authorization": "Bearer hunter2-key", "X-Region": "eu"}
    assert "hunter2" not in repr(config)
    assert [(p.id, p.password, p.default) for p in asked.prompts] == [
        ("tenant", False, "acme"), ("api_key", True, None),
    ]  # fmt: skip
    await remote_of(entry, first, Inputs(entry.name, {}, asked, answers))
    assert len(asked.prompts) == 2
    assert (await remote_of(entry, second, inputs())).transport == "sse"


async def test_where_nobody_answers_a_default_does_and_without_one_it_is_said_how_to_pass_the_value():
    entry = SAMPLES["tenant-search 1.4.0"]
    (first, _), _ = ways(entry, "remote", lambda _: False)
    with pytest.raises(ConfigError, match="nobody is there to say it") as caught:
        await remote_of(entry, first, inputs())
    assert (caught.value.key, caught.value.fix) == ("api_key", 'Pass values={"api_key": ...}.')
    config = await remote_of(entry, first, inputs(api_key="x" * 9, tenant="other"))
    assert config.url == "http://other.localhost:27442/mcp"


@pytest.mark.parametrize(
    ("declared", "value", "why"),
    [
        ({"choices": ["eu", "us"]}, "moon", "none of: eu, us"), ({"format": "number"}, "1e", "not a number"),
        ({"format": "boolean"}, "yes", "neither true nor false"), ({}, ["a", "b"], "one value, not several"),
    ],
)  # fmt: skip
async def test_a_value_that_does_not_fit_is_refused_without_being_quoted(declared, value, why):
    with pytest.raises(ConfigError, match=why) as caught:
        await inputs(x=value).text(declared, "x")
    assert caught.value.key == "x"


@pytest.mark.parametrize("declared", [{"choices": ["eu"]}, {"format": "number"}])
async def test_an_answer_that_does_not_fit_is_asked_for_anew_the_next_time(declared):
    asked, answers = Asked(x="moon"), {}
    for _ in range(2):
        with pytest.raises(ConfigError):
            await Inputs("s", {}, asked, answers).text({"isRequired": True, **declared}, "x")
    assert len(asked.prompts) == 2


async def test_what_sounds_or_looks_like_a_secret_is_hidden_although_nobody_called_it_one():
    given = inputs(api_key="short1", dsn="postgres://me:hunter2@h/db")
    await given.text({}, "api_key")
    await given.text({}, "dsn")
    assert "short1" in given.hidden
    assert any("hunter2" in text for text in given.hidden)


async def test_the_variables_of_a_secret_are_secret():
    given, asked = inputs(), Asked(code="abc123")
    given = Inputs("s", {}, asked, {})
    await given.text(
        {"value": "x-{code}", "isSecret": True, "variables": {"code": {"isRequired": True}}}, "h"
    )
    assert given.hidden == {"abc123"}
    assert asked.prompts[0].password


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        (SAMPLES["bundle 1.0.0"], "is a bundle for desktop programs"),
        (SAMPLES["dotnet 0.4.0-beta"], "is a NuGet package"),
        (SAMPLES["metadata-only 0.0.1"], "neither packages nor remotes"),
        (SAMPLES["everything 2026.8.31"], "start it, then connect to http://127.0.0.1:{PORT}/mcp"),
        (package("conda"), "of a kind (conda) that is not run here"),
        (Entry("io.x/y", "1", remotes=({"type": "pigeon", "url": "x"},)), "of no kind that mcpnb knows"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_explained(entry, why):
    good, bad = ways(entry, "package", lambda _: True)
    assert good == []
    assert why in "; ".join(bad)


def test_a_launcher_that_is_not_installed_is_named_and_another_package_is_taken():
    good, bad = ways(SAMPLES["filesystem 2026.8.31"], "package", lambda launcher: launcher == "docker")
    assert [way.launcher for way in good] == ["docker"]
    assert "needs npx, which is not installed" in bad[0]


def test_a_hint_at_a_program_that_is_no_launcher_is_not_followed():
    good, _ = ways(package(runtimeHint="/tmp/evil"), "package", lambda _: True)
    assert good[0].launcher == "npx"


@pytest.mark.parametrize(
    "name",
    ["--call=evil", "a b", "a\nb", "\u202eb", "mcp-server-t\u0456me", "pkg\u200b", "", "'a'", "./here"],
)
@pytest.mark.parametrize("kind", ["npm", "pypi", "oci"])
async def test_a_package_whose_name_is_none_or_reads_as_another_is_refused(kind, name):
    with pytest.raises(ConfigError, match="no name of a package"):
        await run(package(kind, identifier=name))


async def test_where_a_shell_reads_arguments_first_none_that_it_would_act_on_is_passed(monkeypatch):
    words = [{"type": "positional", "value": 'x" & calc'}]
    assert (await run(package(packageArguments=words)))[-1] == 'x" & calc'
    monkeypatch.setattr(commands, "_BY_A_SHELL", True)
    with pytest.raises(ConfigError, match="a shell of Windows would act on"):
        await run(package(packageArguments=words))
    assert (await run(package(packageArguments=[{"type": "positional", "value": "x y"}])))[-1] == "x y"


@pytest.mark.parametrize("version", ["1.0 --call=evil", "\u202e1", "-1", "1\n"])
async def test_a_version_that_is_none_is_refused(version):
    with pytest.raises(ConfigError, match="no version of a package"):
        await run(package(version=version))


@pytest.mark.parametrize(
    ("identifier", "base", "image"),
    [
        ("mcp/files", "https://ghcr.io", "ghcr.io/mcp/files:1.0"),
        ("mcp/files", None, "mcp/files:1.0"),
        ("ghcr.io/mcp/files", "https://docker.io", "ghcr.io/mcp/files:1.0"),
        ("localhost:5000/mcp/files:2", "https://docker.io", "localhost:5000/mcp/files:2"),
        ("quay.io/a/b@sha256:" + "0" * 64, None, "quay.io/a/b@sha256:" + "0" * 64),
    ],
)
async def test_a_container_comes_from_the_registry_that_is_named_within_or_beside_it(identifier, base, image):
    assert (await run(package("oci", identifier, registryBaseUrl=base)))[-1] == image


def test_of_several_versions_the_one_that_is_meant_is_taken():
    entries = [page_of(item).entries[0] for item in sampled()]
    newest = {entry.name: entry.version for entry in chosen(entries, "latest")}
    assert newest["io.github.modelcontextprotocol/time"] == "2026.10.19"
    assert [e.version for e in chosen(entries, "<2026.10") if e.name.endswith("time")] == ["2026.8.31"]
    assert [e.version for e in chosen(entries, "2026.8.31") if e.name.endswith("time")] == ["2026.8.31"]


def test_the_first_v0_is_understood_too():
    flat = {
        "name": "io.x/y", "description": "d", "version_detail": {"version": "3"},
        "packages": [{"registry_type": "npm", "runtime_hint": "npx", "package_arguments": [
            {"type": "positional", "value": "{a_b}", "variables": {"a_b": {"is_required": True}}}]}],
    }  # fmt: skip
    page = page_of({"servers": [flat], "metadata": {"next_cursor": "c"}})
    (entry,) = page.entries
    assert (entry.version, page.cursor) == ("3", "c")
    assert entry.packages[0]["packageArguments"][0]["variables"]["a_b"] == {"isRequired": True}
