/*
 * Plays a scenario on the net and tls modules of Node.js, the reference of
 * libweir's lifecycle, and prints the trace of its events. tests/api/ plays the same file
 * on libweir; README tells what the steps mean. Usage: driver.js FILE
 */
'use strict';

const childProcess = require('child_process');
const fs = require('fs');
const net = require('net');
const os = require('os');
const path = require('path');
const tls = require('tls');

const STUCK_MS = 5000;
const DATA_PERIOD = 251; /* a prime: shifted bytes are seen */

process.noDeprecation = true;

/* ---- the file ---- */

function words(text) {
  return text.trim().split(/\s+/).filter((word) => word !== '');
}

function parse(file) {
  const script = { global: false, main: [], handlers: [] };
  fs.readFileSync(file, 'utf8').split('\n').forEach((line, i) => {
    const text = line.trim();
    if (text === '' || text.startsWith('#') || text.startsWith('differs:'))
      return;
    if (text === 'order: global') {
      script.global = true;
      return;
    }
    const on = /^(on|once)\s+(\S+)\s+(\S+)\s*:(.*)$/.exec(text);
    if (on === null) {
      script.main.push({ line: i + 1, text, args: words(text) });
      return;
    }
    script.handlers.push({
      once: on[1] === 'once', object: on[2], event: on[3],
      steps: on[4].split(';').map((step) => (
        { line: i + 1, text: step.trim(), args: words(step) })),
    });
  });
  return script;
}

/* ---- the trace ---- */

const objects = new Map(); /* by name, in the order of their declaration */
const trace = [];
let script, scratch;

function record(object, text) {
  object.tail = { name: object.name, text };
  trace.push(object.tail);
}

function recordData(object, data) {
  for (const byte of data) {
    if (object.nextByte !== -1 && byte !== object.nextByte)
      object.broken = true;
    object.nextByte = (byte + 1) % DATA_PERIOD;
  }
  if (object.tail === null || object.tail.bytes === undefined) {
    record(object, '');
    object.tail.bytes = 0;
  }
  object.tail.bytes += data.length;
  object.tail.text = `data ${object.tail.bytes}` +
    (object.broken ? ', out of order' : '');
  object.dataTotal += data.length;
}

/* libweir's names of what TLS came to; Node.js has those of OpenSSL's reasons,
 * and ECONNRESET for an end during the handshake. */
const TLS_CODES = [
  [/^(UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|CERT_)/, 'WEIR_E_TLS_CERTIFICATE'],
  [/^ERR_TLS_CERT_ALTNAME/, 'WEIR_E_TLS_CERTIFICATE'],
  [/^ERR_TLS_HANDSHAKE_TIMEOUT$/, 'WEIR_E_TLS_TIMEOUT'],
  [/^ERR_SSL_.*_ALERT_/, 'WEIR_E_TLS_ALERT'],
];

function tlsCode(err, duringHandshake) {
  for (const [pattern, name] of TLS_CODES) {
    if (pattern.test(err.code))
      return name;
  }
  if (/^(ERR_SSL_|EPROTO$)/.test(err.code))
    return duringHandshake ? 'WEIR_E_TLS_HANDSHAKE' : 'WEIR_E_TLS_PROTOCOL';
  if (/before secure TLS connection|socket hang up/.test(err.message))
    return 'WEIR_E_TLS_HANDSHAKE';
  return undefined;
}

function code(err, object) {
  const name = tlsCode(err, object !== undefined && !object.counts.secure);
  if (name !== undefined)
    return name;
  switch (err.code) {
  case 'ERR_STREAM_DESTROYED':
  case 'ERR_SOCKET_CLOSED':
    return 'closed';
  case 'ERR_STREAM_WRITE_AFTER_END':
    return 'ended';
  default:
    return err.code;
  }
}

function happened(object, event, detail) {
  if (object.freed)
    return; /* an event that was under way goes on there */
  record(object, detail === undefined ? event : `${event} ${detail}`);
  count(object, event);
}

function count(object, event) {
  object.counts[event] = (object.counts[event] || 0) + 1;
  for (const handler of script.handlers) {
    if (handler.object !== object.name || handler.event !== event ||
        handler.done)
      continue;
    handler.done = handler.once;
    handler.steps.forEach(perform);
  }
  look();
}

/* ---- objects ---- */

function declare(name, kind, fields) {
  const object = Object.assign({
    name, kind, counts: {}, tail: null, dataTotal: 0, nextByte: -1,
    broken: false, written: 0, shown: new Set(), muted: false, freed: false,
    address: null, handle: null, serverSide: false,
  }, objects.get(name), fields, { kind });
  objects.set(name, object);
  return object;
}

function get(name) {
  const object = objects.get(name);
  if (object === undefined)
    throw new Error(`${name} is not declared`);
  return object;
}

function attach(object) {
  const handlers = {
    lookup: (err, address) =>
      happened(object, 'lookup', err ? code(err) : address),
    connect: () => happened(object, 'connect'),
    ready: () => happened(object, 'ready'),
    [object.serverSide ? 'secure' : 'secureConnect']: () =>
      happened(object, 'secure'),
    end: () => happened(object, 'end'),
    timeout: () => happened(object, 'timeout'),
    drain: () => {
      if (object.shown.has('drain'))
        happened(object, 'drain');
    },
    error: (err) => happened(object, 'error', code(err, object)),
    close: (hadError) =>
      happened(object, 'close', hadError ? 'with an error' : undefined),
  };
  if (!object.muted)
    handlers.data = (data) => {
      recordData(object, data);
      count(object, 'data');
    };
  object.handlers = handlers;
  for (const event of Object.keys(handlers))
    object.it.on(event, handlers[event]);
}

/* TLS is another socket there, around the first; its events are the object's
 * from then on. */
function exchange(object, make) {
  const plain = object.it;
  for (const event of Object.keys(object.handlers))
    plain.removeListener(event, object.handlers[event]);
  object.it = make(plain);
  attach(object);
}

/* The socket that a tls.Server makes around one it accepts is shown only once
 * it is secure, or has failed: too late for what happens before. */
const wrapped = new WeakMap();
const init = tls.TLSSocket.prototype._init;
tls.TLSSocket.prototype._init = function(socket, wrap) {
  init.call(this, socket, wrap);
  if (socket)
    wrapped.set(socket, this);
};

function nameOf(socket) {
  for (const object of objects.values()) {
    if (object.it === socket)
      return object.name;
  }
  return 'nobody';
}

function accepted(server, socket) {
  const name = server.names.shift();
  if (name === undefined)
    throw new Error(`${server.name} has no name for another connection`);
  const object = declare(name, 'socket', {
    it: wrapped.get(socket) || socket, serverSide: true,
  });
  attach(object);
  happened(server, 'connection', name);
}

function attachServer(object) {
  const s = object.it;
  s.on('listening', () => {
    remember(object);
    happened(object, 'listening');
  });
  s.on('connection', (socket) => accepted(object, socket));
  s.on('secureConnection', (socket) =>
    happened(object, 'secure', nameOf(socket)));
  s.on('tlsClientError', (err, socket) => happened(object,
    'tls-client-error', `${nameOf(socket)} ${code(err, { counts: {} })}`));
  s.on('drop', () => happened(object, 'drop'));
  s.on('error', (err) => happened(object, 'error', code(err)));
  s.on('close', () => happened(object, 'close'));
}

/* ---- addresses ---- */

function unixPath(name) {
  return path.join(scratch, name);
}

function remember(server) {
  server.address = server.it.address();
  if (server.address === null || server.address === undefined)
    server.address = process.env.WEIR_INHERITED; /* it tells of no path */
}

/* Where to find whom: ports differ from run to run, names do not. */
function whose(port) {
  for (const object of objects.values()) {
    if (object.address && object.address.port === port)
      return object.name;
  }
  return 'port';
}

function addressText(host, port) {
  if (host === undefined || host === null)
    return 'none';
  return host.includes(':') ? `[${host}]:${whose(port)}`
    : `${host}:${whose(port)}`;
}

function target(name) {
  const address = get(name).address;
  if (typeof address === 'string')
    return { path: address };
  const host = address.address;
  return { port: address.port, host: host === '::' ? '127.0.0.1' : host };
}

/* A port that is bound and on which nobody listens. */
function bindOnly() {
  const { TCP, constants } = process.binding('tcp_wrap');
  const handle = new TCP(constants.SERVER);
  const address = {};
  handle.bind('127.0.0.1', 0);
  handle.getsockname(address);
  return { handle, address };
}

/* ---- steps ---- */

function bytes(object, length) {
  const data = Buffer.allocUnsafe(length);
  for (let i = 0; i < length; i++)
    data[i] = (object.written + i) % DATA_PERIOD;
  object.written += length;
  return data;
}

function write(object, args) {
  const s = object.it;
  const refused = s.destroyed || s.writableEnded || s._handle === null;
  s.write(bytes(object, Number(args[0])), (err) => {
    if (err && refused && !object.freed)
      record(object, `write refused: ${code(err)}`);
    else
      written(object, args, err);
  });
}

/* "as NAME": the callback of a write, or of an end, is an event. */
function written(object, args, err) {
  const as = args.indexOf('as');
  if (as !== -1 && !object.freed)
    happened(object, `written-${args[as + 1]}`,
      err ? `failed: ${code(err)}` : undefined);
}

function end(object, args) {
  const length = Number(args[0]);
  const done = (err) => written(object, args, err);
  if (Number.isNaN(length))
    object.it.end(done);
  else
    object.it.end(bytes(object, length), done);
}

function settings(args) {
  const found = {};
  for (const arg of args) {
    const [key, value] = arg.split('=');
    found[key] = value === undefined ? true : value;
  }
  return found;
}

/* "lookup=": a resolver that finds these, or nothing, or never answers. */
function resolver(found) {
  return (host, options, done) => {
    if (found === 'never')
      return;
    setImmediate(() => {
      if (found === 'nothing')
        return done(failure('ENOTFOUND'));
      const all = found.split(',').map((address) => (
        { address, family: net.isIP(address) }));
      if (options.all)
        done(null, all);
      else
        done(null, all[0].address, all[0].family);
    });
  };
}

function connect(object, args) {
  const where = target(args[0]);
  const given = settings(args.slice(1));
  where.autoSelectFamily = given.race !== undefined;
  if (given.lookup !== undefined) {
    where.host = 'name.example';
    where.lookup = resolver(given.lookup);
  }
  if (given.host !== undefined)
    where.host = given.host;
  if (given.family !== undefined)
    where.family = Number(given.family);
  if (given.local !== undefined)
    where.localAddress = given.local;
  if (given.timeout !== undefined)
    where.timeout = Number(given.timeout);
  /* A timeout option counts when the socket is made, which was before. */
  if (where.timeout !== undefined)
    object.it.setTimeout(where.timeout);
  if (given.tls !== undefined)
    exchange(object, () => (
      tls.connect({ ...object.options, ...secureClient(given), ...where })));
  else
    object.it.connect(where);
}

/* ---- TLS ---- */

function pem(name) {
  return fs.readFileSync(path.join(__dirname, `${name}.pem`));
}

function secureServer(given) {
  return {
    cert: pem('localhost'), key: pem('localhost.key'),
    maxVersion: given.version === '1.2' ? 'TLSv1.2' : 'TLSv1.3',
    handshakeTimeout: Number(given.handshake || 120000),
  };
}

function secureClient(given) {
  const name = given.name || 'localhost';
  return {
    ca: pem(given.ca || 'ca'),
    host: name,
    servername: net.isIP(name) ? undefined : name,
  };
}

function secure(object, args) {
  const given = settings(args);
  exchange(object, (socket) => {
    if (!given.server)
      return tls.connect({ socket, ...secureClient(given) });
    return new tls.TLSSocket(socket, { isServer: true,
      secureContext: tls.createSecureContext(secureServer(given)) });
  });
}

function listen(object, args) {
  const s = object.it;
  switch (args[0]) {
  case 'tcp':
    return s.listen({ port: 0, host: '127.0.0.1' });
  case 'any':
    return s.listen({ port: 0 });
  case 'unix':
    return s.listen(unixPath(object.name));
  case 'at':
    const where = get(args[1]).address;
    return typeof where === 'string' ? s.listen(where)
      : s.listen({ port: where.port, host: where.address });
  case 'fd':
    return s.listen({ fd: get(args[1]).fd });
  default:
    throw new Error(`listen ${args[0]} is unknown`);
  }
}

function makeStale(object) {
  const file = unixPath(object.name);
  const { Pipe, constants } = process.binding('pipe_wrap');
  const handle = new Pipe(constants.SERVER);
  handle.bind(`${file}.first`);
  handle.listen(1);
  fs.renameSync(`${file}.first`, file);
  handle.close();
}

function free(object) {
  object.freed = true;
  object.it.removeAllListeners();
  object.it.on('error', () => {});
  if (object.kind === 'server')
    object.it.close();
  else
    object.it.destroy();
}

function failure(name) {
  return Object.assign(new Error(name), { code: name });
}

const verbs = {
  server(name, ...args) {
    const names = args.indexOf('accepts');
    const options = names === -1 ? args : args.slice(0, names);
    const given = settings(options);
    const create = given.tls ? tls.createServer : net.createServer;
    const object = declare(name, 'server', {
      names: names === -1 ? [] : args.slice(names + 1),
      it: create({
        allowHalfOpen: options.includes('half-open'),
        pauseOnConnect: options.includes('paused'),
        ...(given.tls ? secureServer(given) : {}),
      }),
    });
    object.names.forEach((accept) => declare(accept, 'socket', {}));
    attachServer(object);
  },
  socket(name, ...args) {
    const options = {
      allowHalfOpen: args.includes('half-open'),
      highWaterMark: Number(settings(args)['high-water'] || 16384),
    };
    const object = declare(name, 'socket', {
      muted: args.includes('mute'), options, it: new net.Socket(options),
    });
    attach(object);
  },
  place(name) {
    const { handle, address } = bindOnly();
    declare(name, 'place', { handle, address });
  },
  fd(name) {
    declare(name, 'fd', { fd: inherited.get(name) });
  },
  mute(name) { get(name).muted = true; },
  show(name, event) { get(name).shown.add(event); },
  stale(name) { makeStale(get(name)); },
  file(name) { fs.writeFileSync(unixPath(name), ''); },
  exists(name) {
    record(get(name), `file ${fs.existsSync(unixPath(name)) ? 'there'
      : 'gone'}`);
  },

  listen(name, ...args) { listen(get(name), args); },
  close(name) {
    const object = get(name);
    object.it.close((err) => {
      if (err)
        record(object, `close refused: ${code(err)}`);
    });
  },
  max(name, n) { get(name).it.maxConnections = Number(n); },
  connections(name) {
    const object = get(name);
    object.it.getConnections((err, n) => record(object, `connections ${n}`));
  },
  listening(name) {
    record(get(name), `listening? ${get(name).it.listening ? 'yes' : 'no'}`);
  },
  address(name) {
    const address = get(name).it.address();
    if (address === null || address === undefined)
      record(get(name), 'address none');
    else if (typeof address === 'string')
      record(get(name), `address unix:${path.basename(address)}`);
    else
      record(get(name),
        `address ${addressText(address.address, address.port)}`);
  },

  connect(name, ...args) { connect(get(name), args); },
  secure(name, ...args) { secure(get(name), args); },
  write(name, ...args) { write(get(name), args); },
  offer(name, length) {
    const object = get(name);
    const more = object.it.write(bytes(object, Number(length)));
    record(object, `offered: ${more ? 'go on' : 'wait'}`);
  },
  end(name, ...args) { end(get(name), args); },
  destroy(name, err) {
    get(name).it.destroy(err === undefined ? undefined : failure(err));
  },
  'destroy-soon'(name) { get(name).it.destroySoon(); },
  reset(name) { get(name).it.resetAndDestroy(); },
  pause(name) { get(name).it.pause(); },
  resume(name) { get(name).it.resume(); },
  pipe(name, to, how) {
    get(name).it.pipe(get(to).it, { end: how !== 'keep-open' });
  },
  unpipe(name) { get(name).it.unpipe(); },
  timeout(name, ms) { get(name).it.setTimeout(Number(ms)); },
  'no-delay'(name) { get(name).it.setNoDelay(true); },
  'keep-alive'(name, ms) { get(name).it.setKeepAlive(true, Number(ms)); },
  ref(name) { get(name).it.ref(); },
  unref(name) { get(name).it.unref(); },
  free(name) { free(get(name)); },

  state(name) {
    record(get(name), `state ${get(name).it.readyState}`);
  },
  bytes(name) {
    const s = get(name).it;
    record(get(name), `bytes read ${s.bytesRead}, written ${s.bytesWritten}`);
  },
  buffered(name) {
    record(get(name),
      `buffered ${get(name).it.writableLength > 0 ? 'some' : 'none'}`);
  },
  local(name) {
    const s = get(name).it;
    record(get(name), `local ${addressText(s.localAddress, s.localPort)}`);
  },
  remote(name) {
    const s = get(name).it;
    record(get(name), `remote ${addressText(s.remoteAddress, s.remotePort)}`);
  },
};

function perform(step) {
  const [verb, name] = step.args;
  if (!Object.prototype.hasOwnProperty.call(verbs, verb))
    throw new Error(`line ${step.line}: ${verb} is no verb`);
  try {
    verbs[verb](...step.args.slice(1));
  } catch (err) {
    if (typeof err.code !== 'string')
      throw err;
    record(get(name), `${verb} refused: ${code(err)}`);
  }
}

/* ---- the main line ---- */

let next = 0;
let going = false; /* a turn of go() is due, or runs */

function come(step) {
  const [, name, event, least] = step.args;
  const object = get(name);
  if (event === 'data') {
    if (object.dataTotal < Number(least))
      return false;
    object.dataTotal -= Number(least);
    return true;
  }
  if ((object.counts[event] || 0) === (object.waited?.[event] || 0))
    return false;
  object.waited = object.waited || {};
  object.waited[event] = (object.waited[event] || 0) + 1;
  return true;
}

/* Whether what the main line waits for has come: then it goes on, from a turn
 * of the loop of its own. */
function look() {
  if (going || next >= script.main.length)
    return;
  if (come(script.main[next])) {
    going = true;
    next++;
    setImmediate(go);
  }
}

function go() {
  going = true;
  while (next < script.main.length) {
    const step = script.main[next];
    if (step.args[0] === 'wait') {
      going = false;
      if (!come(step))
        return;
      going = true;
    } else if (step.args[0] === 'turn') {
      next++;
      setImmediate(go);
      return;
    } else if (step.args[0] === 'rest') {
      next++;
      setTimeout(go, Number(step.args[1]));
      return;
    } else {
      perform(step);
    }
    next++;
  }
}

function stillOpen(object) {
  if (object.freed || object.it === undefined)
    return false;
  if (object.kind === 'server')
    return object.it._handle !== null;
  return !object.it.destroyed && (object.it.connecting ||
    object.it._handle !== null);
}

function print() {
  const lines = [];
  if (script.global)
    trace.forEach((row) => lines.push(`${row.name} ${row.text}`));
  else
    for (const name of objects.keys())
      trace.filter((row) => row.name === name).forEach((row) =>
        lines.push(`${row.name} ${row.text}`));
  for (const object of objects.values()) {
    if (stillOpen(object))
      lines.push(`- ${object.name} is still open`);
  }
  if (next < script.main.length)
    lines.push(`- the loop ended before: ${script.main[next].text}`);
  lines.push('- end');
  fs.writeSync(1, lines.join('\n') + '\n');
}

/* ---- inherited descriptors ---- */

const inherited = new Map();

/* Descriptors must come from outside: made here, and handed to a second
 * process that plays the scenario. */
async function playWithDescriptors(file, wanted) {
  const stdio = ['inherit', 'inherit', 'inherit'];
  const keep = [];
  for (const [, kind, how] of wanted) {
    if (how === 'bound') {
      const { handle } = bindOnly();
      keep.push(handle);
      stdio.push(handle.fd);
      continue;
    }
    const server = net.createServer();
    const where = kind === 'unix' ? unixPath('inherited')
      : { port: 0, host: '127.0.0.1' };
    await new Promise((resolve) => server.listen(where, resolve));
    keep.push(server);
    stdio.push(server._handle.fd);
  }
  const names = wanted.map(([name]) => name).join(',');
  const child = childProcess.spawnSync(process.execPath,
    [__filename, file, names], { stdio,
      env: { ...process.env, WEIR_INHERITED: unixPath('inherited') } });
  fs.rmSync(scratch, { recursive: true });
  process.exit(child.status === null ? 1 : child.status);
}

function play(file) {
  process.on('exit', (status) => {
    if (status === 0)
      print();
    fs.rmSync(scratch, { recursive: true });
  });
  setTimeout(() => {
    process.stderr.write(`${file}: stuck` + (next < script.main.length
      ? ` at line ${script.main[next].line}\n` : ' after its last step\n'));
    process.exitCode = 1;
    process.exit();
  }, STUCK_MS).unref();
  setImmediate(go);
}

const [, , file, names] = process.argv;
scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'weir-scenario-'));
script = parse(file);
const wanted = script.main.filter((step) => step.args[0] === 'fd')
  .map((step) => step.args.slice(1));
if (wanted.length > 0 && names === undefined) {
  playWithDescriptors(file, wanted);
} else {
  if (names !== undefined)
    names.split(',').forEach((name, i) => inherited.set(name, 3 + i));
  play(file);
}
