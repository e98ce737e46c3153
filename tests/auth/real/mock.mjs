// An authorization server made with oauth2-mock-server, which says whatever a test wants it to say.
//
// Started, and spoken to by a door of its own, as issuer.mjs is. It has no page to log in at: whoever asks for a
// code gets one. It registers no clients, and knows neither scopes nor resources.

import { createServer } from 'node:http';
import process from 'node:process';

import { OAuth2Server } from 'oauth2-mock-server';

const DEFAULTS = {
  status: 200,
  body: {}, // what the token endpoint says instead, null for what it leaves out
  raw: null, // what it says that is no JSON at all
  callback: {}, // parameters of the callback, instead or besides; null for what it leaves out
  claims: {}, // of the tokens, instead or besides
};

let settings = { ...DEFAULTS };
let requests = [];
const secrets = new Set();
const now = () => Date.now() / 1000;
const without = (object) => Object.fromEntries(Object.entries(object).filter(([, value]) => value !== null));

const server = new OAuth2Server();
await server.issuer.keys.generate('RS256');
await server.start(0, '127.0.0.1');
const issuer = `http://127.0.0.1:${server.address().port}`;
server.issuer.url = issuer;

server.service.on('beforeTokenSigning', (token) => Object.assign(token.payload, settings.claims));

server.service.on('beforeResponse', (response, request) => {
  const form = request.body;
  response.statusCode = settings.status;
  response.body = settings.raw ?? without({ ...response.body, ...settings.body });
  for (const [name, value] of Object.entries({ ...form, ...response.body })) {
    if (/(_token|secret|verifier|^code|assertion)$/.test(name) && typeof value === 'string') secrets.add(value);
  }
  requests.push({
    path: '/token',
    route: 'token',
    at: now(),
    status: settings.status,
    grant: form.grant_type,
    client: form.client_id ?? null,
    resource: [form.resource].flat().filter(Boolean),
    scope: form.scope ?? null,
    error: response.body.error ?? null,
    lives: response.body.expires_in ?? null,
  });
});

server.service.on('beforeAuthorizeRedirect', ({ url }) => {
  requests.push({ path: '/authorize', route: 'authorization', at: now(), status: 302 });
  for (const [name, value] of Object.entries(settings.callback)) {
    if (value === null) url.searchParams.delete(name);
    else url.searchParams.set(name, value);
  }
});

const DOOR = {
  '/set': (change) => (settings = { ...settings, ...change }),
  '/reset': () => {
    settings = { ...DEFAULTS };
    requests = [];
  },
  '/log': () => requests,
  '/secrets': () => [...secrets],
};

const door = createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const said = DOOR[request.url](JSON.parse(Buffer.concat(chunks).toString() || '{}'));
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify(said ?? null));
});
await new Promise((resolve) => door.listen(0, '127.0.0.1', resolve));
process.stdout.write(`${JSON.stringify({ issuer, door: `http://127.0.0.1:${door.address().port}` })}\n`);
process.stdin.on('end', () => process.exit(0)).resume();
