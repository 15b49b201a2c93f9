// The benchmark's other issuer: oidc-provider with the least around it.
//
// It keeps everything in memory, in maps that are cheaper than the adapter it brings along and, unlike that one, do not
// forget after 1,000 entries. Nothing reaches a disk. The interaction signs in whoever comes; nobody is asked for consent.
//
//   node server.mjs PORT (jwt|opaque) SECRET-FILE (CERTIFICATE.pem KEY.pem | plain)

import { generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';

import { Provider } from 'oidc-provider';

const [port, format, secretFile, certificate, key] = process.argv.slice(2);
if (!port || !['jwt', 'opaque'].includes(format) || !secretFile || !certificate) {
  console.error('usage: node server.mjs PORT (jwt|opaque) SECRET-FILE (CERTIFICATE.pem KEY.pem | plain)');
  process.exit(2);
}
const secret = readFileSync(secretFile, 'utf8').trim();
const plain = certificate === 'plain';
const issuer = `${plain ? 'http' : 'https'}://127.0.0.1:${port}`;
const redirect = 'https://127.0.0.1/callback';
const resource = 'urn:bench';
const day = 24 * 60 * 60;

const entries = new Map();
const sessions = new Map();
const grants = new Map();

class Memory {
  constructor(model) {
    this.model = model;
  }

  async upsert(id, payload) {
    const name = `${this.model}:${id}`;
    entries.set(name, payload);
    if (this.model === 'Session') sessions.set(payload.uid, name);
    if (payload.grantId && this.model !== 'Session') {
      const members = grants.get(payload.grantId);
      if (members) members.push(name);
      else grants.set(payload.grantId, [name]);
    }
  }

  async find(id) {
    return entries.get(`${this.model}:${id}`);
  }

  async findByUid(uid) {
    return entries.get(sessions.get(uid));
  }

  async findByUserCode() {
    return undefined;
  }

  async consume(id) {
    entries.get(`${this.model}:${id}`).consumed = Math.floor(Date.now() / 1000);
  }

  async destroy(id) {
    entries.delete(`${this.model}:${id}`);
  }

  async revokeByGrantId(grantId) {
    for (const name of grants.get(grantId) ?? []) entries.delete(name);
    grants.delete(grantId);
  }
}

const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const signing = { ...privateKey.export({ format: 'jwk' }), use: 'sig', alg: 'ES256', kid: 'bench' };

const provider = new Provider(issuer, {
  adapter: Memory,
  jwks: { keys: [signing] },
  clients: [{
    client_id: 'bench',
    client_secret: secret,
    token_endpoint_auth_method: 'client_secret_basic',
    grant_types: ['client_credentials', 'authorization_code', 'refresh_token'],
    response_types: ['code'],
    redirect_uris: [redirect],
    id_token_signed_response_alg: 'ES256',
  }],
  scopes: ['openid', 'offline_access', 'bench'],
  cookies: { keys: [secret] },
  pkce: { required: () => false },
  rotateRefreshToken: true,
  issueRefreshToken: async () => true,
  ttl: {
    AccessToken: 3600, ClientCredentials: 3600, AuthorizationCode: 600, RefreshToken: day, Grant: day, Session: day, Interaction: 600,
  },
  interactions: { url: (_context, interaction) => `/interaction/${interaction.uid}` },
  findAccount: async (_context, id) => ({ accountId: id, claims: async () => ({ sub: id }) }),
  async loadExistingGrant(context) {
    const known = context.oidc.session.grantIdFor(context.oidc.client.clientId);
    if (known) return context.oidc.provider.Grant.find(known);
    const grant = new context.oidc.provider.Grant({
      clientId: context.oidc.client.clientId, accountId: context.oidc.session.accountId,
    });
    grant.addOIDCScope('openid offline_access bench');
    grant.addResourceScope(resource, 'bench');
    await grant.save();
    return grant;
  },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    introspection: { enabled: true, allowedPolicy: () => true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => resource,
      useGrantedResource: () => true,
      getResourceServerInfo: () => ({
        scope: 'bench',
        audience: resource,
        accessTokenFormat: format,
        ...(format === 'jwt' ? { jwt: { sign: { alg: 'ES256', kid: 'bench' } } } : {}),
      }),
    },
  },
});
provider.on('server_error', (_context, error) => console.error(error));

const serve = provider.callback();
async function answer(request, response) {
  if (!request.url.startsWith('/interaction/')) return serve(request, response);
  try {
    return await provider.interactionFinished(request, response, { login: { accountId: 'jane' } });
  } catch (error) {
    console.error(error);
    response.statusCode = 500;
    return response.end();
  }
}

const server = plain
  ? http.createServer(answer)
  : https.createServer({ cert: readFileSync(certificate), key: readFileSync(key), minVersion: 'TLSv1.3' }, answer);
server.keepAliveTimeout = 75_000;
server.listen(Number(port), '127.0.0.1');
