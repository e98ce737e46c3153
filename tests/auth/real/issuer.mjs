// An authorization server made with oidc-provider, and a door beside it for the tests.
//
// Started with Node in the folder that oidc-provider is installed in. Its first line of output is JSON:
// {"issuer": URL, "door": URL}. Whoever owns its standard input keeps it alive.
//
// The door: POST /set changes settings, POST /reset puts everything back, POST /down and /up take the issuer off
// the network and back, GET /log tells of every request, GET /secrets of all that nobody else may see.

import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import process from 'node:process';

import Provider from 'oidc-provider';

const DEFAULTS = {
  accessTtl: 600,
  refreshTtl: 3600,
  rotate: true,
  refresh: true, // whether a refresh token is given at all
  format: 'jwt',
  scope: 'mcp:read mcp:write', // all that a resource knows
  grants: null, // what a person grants of it, where that is less
  skew: 0, // seconds by which the issuer's clock is ahead
  registration: 'open', // or 'refused', or 'absent'
  metadata: {}, // what its metadata say instead of the truth
  tokenRedirect: null,
  hold: false, // token requests wait
  fail: null, // a status for every token request
};

let settings = { ...DEFAULTS };
let requests = [];
let waiting = [];
const secrets = new Set();

const trueNow = Date.now;
Date.now = () => trueNow() + settings.skew * 1000;

const pair = (type, options) => generateKeyPairSync(type, options).privateKey.export({ format: 'jwk' });
const signing = { ...pair('rsa', { modulusLength: 2048 }), kid: 'of-the-issuer', use: 'sig', alg: 'RS256' };

const given = JSON.parse(process.env.CLIENTS);
const LOOPBACK = ['http://127.0.0.1/callback', 'http://localhost/callback'];

function resourceServer(resource) {
  return {
    scope: settings.scope,
    audience: resource,
    accessTokenTTL: settings.accessTtl,
    accessTokenFormat: settings.format,
    jwt: { sign: { alg: 'RS256' } },
  };
}

async function grantAll(ctx) {
  const { client, params, session } = ctx.oidc;
  const grant = new ctx.oidc.provider.Grant({ clientId: client.clientId, accountId: session.accountId });
  grant.addOIDCScope(`openid offline_access ${settings.scope}`);
  const granted = settings.grants ?? settings.scope;
  const refused = settings.scope.split(' ').filter((scope) => !granted.split(' ').includes(scope));
  for (const resource of [params.resource].flat().filter(Boolean)) {
    grant.addResourceScope(resource, granted);
    if (refused.length) grant.rejectResourceScope(resource, refused.join(' ')); // else it would ask again
  }
  await grant.save();
  return grant;
}

const http = createServer();
await new Promise((resolve) => http.listen(0, '127.0.0.1', resolve));
const { port } = http.address();
const issuer = `http://127.0.0.1:${port}`;

const provider = new Provider(issuer, {
  clients: given.map((client) => ({ redirect_uris: LOOPBACK, application_type: 'native', ...client })),
  jwks: { keys: [signing] },
  cookies: { keys: ['of the tests'] },
  scopes: ['openid', 'offline_access', 'mcp:read', 'mcp:write'],
  pkce: { required: () => true },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    introspection: { enabled: true, allowedPolicy: () => true },
    registration: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => undefined,
      getResourceServerInfo: (_ctx, resource) => resourceServer(resource),
      useGrantedResource: () => true,
    },
    revocation: { enabled: true },
  },
  ttl: {
    AccessToken: () => settings.accessTtl,
    ClientCredentials: () => settings.accessTtl,
    RefreshToken: () => settings.refreshTtl,
    Grant: () => 7200,
    Session: () => 7200,
    Interaction: () => 600,
    AuthorizationCode: () => 60,
    IdToken: () => 600,
  },
  interactions: { url: (_ctx, interaction) => `/interaction/${interaction.uid}` },
  findAccount: (_ctx, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  loadExistingGrant: grantAll,
  revokeGrantPolicy: (ctx) => ctx.oidc.route !== 'revocation' || !ctx.oidc.entities.AccessToken,
  issueRefreshToken: (_ctx, client) => settings.refresh && client.grantTypeAllowed('refresh_token'),
  rotateRefreshToken: () => settings.rotate,
  renderError: (ctx, out) => {
    ctx.type = 'json';
    ctx.body = out;
  },
});

function note(ctx, began) {
  const body = ctx.body ?? {};
  const params = ctx.oidc?.params ?? {};
  for (const [name, value] of Object.entries({ ...params, ...body })) {
    if (/(_token|secret|verifier|^code|assertion)$/.test(name) && typeof value === 'string') secrets.add(value);
  }
  requests.push({
    path: ctx.path,
    route: ctx.oidc?.route ?? null,
    at: began,
    status: ctx.status,
    grant: params.grant_type ?? null,
    client: ctx.oidc?.client?.clientId ?? params.client_id ?? null,
    resource: [params.resource].flat().filter(Boolean),
    scope: body.scope ?? params.scope ?? null,
    error: body.error ?? null,
    lives: body.expires_in ?? null,
  });
}

provider.use(async (ctx, next) => {
  const began = trueNow() / 1000;
  const token = ctx.path === '/token';
  if (token && settings.hold) await new Promise((resolve) => waiting.push(resolve));
  if (token && settings.tokenRedirect) {
    ctx.status = 307;
    ctx.set('Location', settings.tokenRedirect);
  } else if (token && settings.fail) {
    ctx.status = settings.fail;
  } else if (ctx.path === '/reg' && settings.registration === 'refused') {
    ctx.status = 403;
    ctx.body = { error: 'access_denied', error_description: 'clients are registered by hand here' };
  } else {
    await next();
  }
  if (ctx.path.startsWith('/.well-known/')) {
    ctx.body = { ...ctx.body, ...settings.metadata };
    if (settings.registration === 'absent') delete ctx.body.registration_endpoint;
  }
  note(ctx, began);
});

// The page to log in at: a form with one field, which is login and consent at once.
async function interaction(request, response) {
  const details = await provider.interactionDetails(request, response);
  if (request.method === 'POST') {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const form = new URLSearchParams(Buffer.concat(chunks).toString());
    const route = form.has('refuse') ? 'no login' : 'login';
    requests.push({ path: '/interaction', route, at: trueNow() / 1000, status: 303 });
    const refused = { error: 'access_denied', error_description: 'the person said no' };
    const result = form.has('refuse') ? refused : { login: { accountId: form.get('login') }, consent: {} };
    await provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false });
    return;
  }
  response.setHeader('content-type', 'text/html');
  response.end(`<form method="post" action="/interaction/${details.uid}"><input name="login"></form>`);
}

const answer = provider.callback();
http.on('request', (request, response) => {
  if (!request.url.startsWith('/interaction/')) return answer(request, response);
  return interaction(request, response).catch((error) => {
    response.statusCode = 400;
    response.end(String(error));
  });
});

const DOOR = {
  async '/set'(change) {
    settings = { ...settings, ...change };
    if (!settings.hold) waiting.splice(0).forEach((go) => go());
  },
  async '/reset'() {
    await DOOR['/up']();
    settings = { ...DEFAULTS };
    requests = [];
    waiting.splice(0).forEach((go) => go());
  },
  async '/down'() {
    if (!http.listening) return;
    const closed = once(http, 'close');
    http.close();
    http.closeAllConnections();
    await closed;
  },
  async '/up'() {
    if (!http.listening) await new Promise((resolve) => http.listen(port, '127.0.0.1', resolve));
  },
  async '/log'() {
    return requests;
  },
  async '/waiting'() {
    return waiting.length;
  },
  async '/secrets'() {
    return [...secrets];
  },
};

const door = createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const said = await DOOR[request.url](JSON.parse(Buffer.concat(chunks).toString() || '{}'));
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify(said ?? null));
});
await new Promise((resolve) => door.listen(0, '127.0.0.1', resolve));
process.stdout.write(`${JSON.stringify({ issuer, door: `http://127.0.0.1:${door.address().port}` })}\n`);
process.stdin.on('end', () => process.exit(0)).resume();
