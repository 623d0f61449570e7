// Interop peer: Firefox. What a peer does stands in the rig (w3c-peer.js) and runs in a page on loopback, which takes commands by
// polling and posts events, so that no protocol for remote control is needed.
//
// W3C_PEER_DIR   where w3c-peer.js is
// FIREFOX        path of the browser (default: /usr/bin/firefox-esr)
// FIREFOX_PREFS  further preferences, as JSON
import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import os from 'node:os';
import path from 'node:path';
import readline from 'node:readline';

const rig = process.env.W3C_PEER_DIR;
const binary = process.env.FIREFOX || '/usr/bin/firefox-esr';
const emit = (event) => process.stdout.write(`${JSON.stringify(event)}\n`);
const profile = fs.mkdtempSync(path.join(os.tmpdir(), 'interop-firefox-'));

const PAGE = `<!doctype html><meta charset="utf-8"><title>interop peer</title><body><script src="/peer.js"></script><script>
  const post = (event) => { sending = sending.then(() => fetch('/event', { method: 'POST', body: JSON.stringify(event) })); };
  let sending = Promise.resolve();
  globalThis.peer = createInteropPeer({
    RTCPeerConnection,
    emit: post,
    digest: async (bytes) => new Uint8Array(await crypto.subtle.digest('SHA-256', bytes)),
    getCapabilities: (kind) => RTCRtpReceiver.getCapabilities(kind),
    getTrack: async (kind, wish) => (await navigator.mediaDevices.getUserMedia(kind === 'audio'
      ? { audio: true, fake: true }
      : { video: { width: wish.simulcast ? 640 : 320, height: wish.simulcast ? 360 : 180, frameRate: 15 }, fake: true })).getTracks()[0],
    onTrack: (e) => {
      const element = document.createElement(e.track.kind);
      element.autoplay = true;
      element.muted = true;
      element.srcObject = new MediaStream([e.track]);
      document.body.append(element);
    },
  });
  (async () => {
    for (;;) {
      const cmds = await (await fetch('/commands')).json();
      for (const cmd of cmds) peer.handle(cmd);
    }
  })();
</script>`;

let browser = null;
let stopping = false;
const queue = [];
let waiting = null;
function flush() {
  if (!waiting || !queue.length) return;
  waiting.end(JSON.stringify(queue.splice(0)));
  waiting = null;
}

async function launch(config) {
  const server = http.createServer((request, response) => {
    if (request.url === '/event') {
      let body = '';
      request.on('data', (d) => { body += d; });
      request.on('end', () => { process.stdout.write(`${body}\n`); response.end('ok'); });
    } else if (request.url === '/commands') {
      response.setHeader('content-type', 'application/json');
      waiting = response;
      flush();
    } else if (request.url === '/peer.js') {
      response.setHeader('content-type', 'text/javascript');
      response.end(fs.readFileSync(path.join(rig, 'w3c-peer.js')));
    } else if (request.url === '/') {
      response.setHeader('content-type', 'text/html');
      response.end(PAGE);
    } else {
      response.statusCode = 404;
      response.end();
    }
  });
  server.keepAliveTimeout = 0;
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const prefs = {
    'media.navigator.streams.fake': true,
    'media.navigator.permission.disabled': true,
    'media.peerconnection.ice.obfuscate_host_addresses': !!config.mdns,
    'media.peerconnection.ice.loopback': !!config.loopback,
    'media.peerconnection.ice.default_address_only': false,
    'media.autoplay.default': 0,
    'media.autoplay.blocking_policy': 0,
    'browser.shell.checkDefaultBrowser': false,
    'browser.startup.homepage_override.mstone': 'ignore',
    'browser.aboutwelcome.enabled': false,
    'datareporting.policy.dataSubmissionEnabled': false,
    'toolkit.telemetry.enabled': false,
    'app.update.enabled': false,
    'app.normandy.enabled': false,
    'network.captive-portal-service.enabled': false,
    'network.connectivity-service.enabled': false,
    'browser.safebrowsing.update.enabled': false,
    'services.settings.server': 'http://127.0.0.1:9/',
    'extensions.update.enabled': false,
    'media.gmp-manager.updateEnabled': false,
    'dom.min_background_timeout_value': 4,
    'dom.timeout.enable_budget_timer_throttling': false,
    ...JSON.parse(process.env.FIREFOX_PREFS || '{}'),
  };
  fs.writeFileSync(path.join(profile, 'user.js'), Object.entries(prefs).map(([k, v]) => `user_pref(${JSON.stringify(k)}, ${JSON.stringify(v)});\n`).join(''));
  browser = spawn(binary, ['--headless', '--no-remote', '--profile', profile, `http://127.0.0.1:${server.address().port}/`], {
    stdio: ['ignore', 'ignore', process.env.INTEROP_VERBOSE ? 'inherit' : 'ignore'],
    env: { ...process.env, HOME: profile, MOZ_DISABLE_CONTENT_SANDBOX: '1' },
    detached: true,
  });
  browser.on('exit', (code, signal) => {
    if (!stopping) { emit({ ev: 'error', message: `firefox ended: ${code ?? signal}` }); process.exit(1); }
  });
}

function stop(code) {
  stopping = true;
  if (browser) { try { process.kill(-browser.pid, 'SIGKILL'); } catch { browser.kill('SIGKILL'); } }
  process.exit(code);
}

const version = execFileSync(binary, ['--version'], { stdio: ['ignore', 'pipe', 'ignore'] }).toString().trim();
emit({ ev: 'ready', name: 'firefox', version, protocol: 1 });
let launched = false;
let order = Promise.resolve();
readline.createInterface({ input: process.stdin })
  .on('line', (line) => {
    if (!line.trim()) return;
    const cmd = JSON.parse(line);
    order = order.then(async () => {
      if (!launched) {
        if (cmd.op === 'close') { emit({ ev: 'closed' }); emit({ ev: 'ok', re: cmd.seq }); stop(0); }
        if (cmd.dtlsMaxVersion) { emit({ ev: 'unsupported', what: 'dtlsMaxVersion', re: cmd.seq }); return; }
        await launch(cmd);
        launched = true;
      }
      queue.push(cmd);
      flush();
      if (cmd.op === 'close') setTimeout(() => stop(0), 500);
    }).catch((e) => { emit({ ev: 'error', message: String(e.message || e), re: cmd.seq }); });
  })
  .on('close', () => order.then(() => { if (!stopping) setTimeout(() => stop(0), 300); }));
