"""Answers in a real JupyterLab: what they look like, and that nothing of a hostile one runs or breaks out."""

from __future__ import annotations

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

START = '''\
import base64, io, struct, wave, zlib
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.prompts.base import AssistantMessage, UserMessage
from mcp_types import (
    AudioContent, BlobResourceContents, CallToolResult, EmbeddedResource, ImageContent, ResourceLink,
    TextContent, TextResourceContents,
)
import mcpnb

def png(width, height):
    rows = b''.join(
        b'\\x00' + b''.join(bytes((x * 255 // width, y * 255 // height, 160)) for x in range(width))
        for y in range(height)
    )
    def chunk(kind, data):
        body = kind + data
        return struct.pack('>I', len(data)) + body + struct.pack('>I', zlib.crc32(body))
    head = struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)
    parts = chunk(b'IHDR', head) + chunk(b'IDAT', zlib.compress(rows)) + chunk(b'IEND', b'')
    return b'\\x89PNG\\r\\n\\x1a\\n' + parts

def wav():
    made = io.BytesIO()
    with wave.open(made, 'wb') as file:
        file.setnchannels(1); file.setsampwidth(2); file.setframerate(8000); file.writeframes(bytes(1600))
    return made.getvalue()

def b64(data): return base64.b64encode(data).decode()

EVIL = "<script>window.pwned = 1</script><img src=x onerror='window.pwned = 2'>\\u202egpj.exe\\x1b[31m"
MARKDOWN = """# Weather in Łódź

It will be **warm**, with `rain` at night. See [the source](https://example.org/weather).

1. Monday
2. Tuesday

> Forecasts are guesses.

| day | high | wind |
|-----|-----:|------|
| Mon | 21 | light |
| Tue | 19 | strong |

```python
def forecast(): return 21
```

![radar](https://example.org/radar.png)
"""
HOSTILE = f"""# Read me {EVIL}

[click me](javascript:window.pwned=3) **bold** [logout](/hub/logout) ![x](https://evil.example/track.png)

<iframe src="javascript:window.pwned=4"></iframe> <svg onload="window.pwned=5">

| a | b |
|---|---|
| {EVIL.replace('|', '')} | [x](data:text/html,<script>window.pwned=6</script>) |
"""
server = MCPServer('press', log_level='ERROR')

def answer(*content, **more):
    return CallToolResult(content=list(content), **more)

def text(said):
    return TextContent(type='text', text=said)

def image(data, kind):
    return ImageContent(type='image', data=data, mime_type=kind)

def link(uri, name, **more):
    return ResourceLink(type='resource_link', uri=uri, name=name, **more)

def embedded(uri, said, kind):
    held = TextResourceContents(uri=uri, text=said, mime_type=kind)
    return EmbeddedResource(type='resource', resource=held)

@server.tool()
def report():
    return answer(text(MARKDOWN))

@server.tool()
def table(rows: int = 300) -> list[dict]:
    note = 'a longer remark '
    return [
        {'city': f'City {n}', 'people': n * 1234, 'mean': n / 7, 'open': n % 2 == 0, 'note': note * (n % 4)}
        for n in range(rows)
    ]

@server.tool()
def nested() -> dict:
    days = [{'day': 1, 'high': 21.5}, {'day': 2, 'high': 19.0}]
    place = {'name': 'Łódź', 'at': {'lat': 51.77, 'lon': 19.46}}
    return {'place': place, 'hours': list(range(30)), 'text': 'long ' * 200, 'days': days}

@server.tool()
def media():
    about = {'title': 'Seventh note', 'description': 'What was said', 'mime_type': 'text/plain', 'size': 2048}
    archive = BlobResourceContents(uri='file:///x.zip', blob=b64(b'1234567'), mime_type='application/zip')
    return answer(
        text('The radar picture of the last hour:'),
        image(b64(png(320, 120)), 'image/png'),
        AudioContent(type='audio', data=b64(wav()), mime_type='audio/wav'),
        image(b64(b'<svg onload=alert(1)>'), 'image/png'),
        link('note://7', 'note', **about),
        link('https://example.org/x', 'On the web'),
        embedded('note://8', '{"a": [1, 2]}', 'application/json'),
        EmbeddedResource(type='resource', resource=archive),
    )

@server.tool()
def hostile():
    return answer(
        text(HOSTILE),
        image('"><script>window.pwned=7</script>', 'image/png'),
        image(b64(b'<svg onload="window.pwned=8"/>'), 'image/svg+xml'),
        link('javascript:window.pwned=9', EVIL, description=EVIL * 40),
        embedded('x://' + 'y' * 3000, EVIL, 'text/html'),
    )

@server.tool()
def hostile_value() -> dict:
    return {
        EVIL: EVIL, 'k' * 5000: 'v' * 1_000_000, 'zalgo': 'Z' + '\\u0351\\u0325' * 400, 'md': HOSTILE,
        'rows': [{EVIL: EVIL, 'w': 'W' * 2000}, {EVIL: 'x', 'w': 'i' * 119}],
    }

@server.tool()
def refuse():
    return answer(text(HOSTILE), is_error=True)

@server.prompt()
def review(code: str):
    asked = 'Please review **this**:\\n\\n```python\\n' + code + '\\n```'
    return [UserMessage(asked), AssistantMessage('Gladly. ' + EVIL)]

fleet = mcpnb.connect({'press': server})'''

CELLS = [
    START,
    "fleet.call('report')",
    "fleet.call('table')",
    "fleet.call('nested')",
    "fleet.call('media')",
    "fleet.prompt('review', code='x = 1')",
    "fleet.call('hostile')",
    "fleet.call('hostile_value')",
    "fleet.options(raise_on_error=False).call('refuse')",
    "fleet.close()",
]

_OPENED = "() => document.querySelectorAll('.mcpnb details').forEach(each => { each.open = true; })"

# What a stranger could reach: a variable of the page, elements of ours that are not ours, the world outside.
_ESCAPED = """() => ({
  ran: window.pwned ?? null,
  foreign: document.querySelectorAll(
    '.mcpnb :is(script, iframe, object, embed, form, [onerror], [onload], [onclick], img:not(.mcpnb-image))'
  ).length,
  links: [...document.querySelectorAll('.mcpnb a')].map(link => link.href)
    .filter(href => !/^https:\\/\\/(example\\.org|evil\\.example)\\//.test(href)),
  wide: [...document.querySelectorAll('.mcpnb-card')]
    .filter(card => card.scrollWidth > card.clientWidth + 1).length,
})"""


def test_answers_are_shown_by_their_content_and_hostile_ones_stay_text(lab_page):
    page = lab_page(CELLS)
    asked: list[str] = []
    page.page.on("request", lambda request: asked.append(request.url))
    cells = page.run_all(timeout=90)
    assert {cell.source: cell.error for cell in cells if cell.error} == {}
    page.shot()
    report, table, media = page.output(1), page.output(2), page.output(4)
    assert report.locator("strong", has_text="warm").is_visible()
    assert table.locator(".mcpnb-value tbody tr").count() == 300
    table.locator("summary", has_text="rows 21 to 120").click()
    assert table.get_by_text("City 119", exact=True).is_visible()
    assert media.locator("img").evaluate("image => image.naturalWidth") == 320
    assert media.locator("audio").evaluate("sound => sound.paused")
    page.page.evaluate(_OPENED)
    page.shots("opened")
    assert page.page.evaluate(_ESCAPED) == {"ran": None, "foreign": 0, "links": [], "wide": 0}
    assert [url for url in asked if "evil.example" in url or "example.org" in url] == []
    assert page.console == []
