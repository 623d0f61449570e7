// Interop peers that run in Node: stacks that have the interface of W3C and are packages of npm. What a peer does stands in the rig
// (w3c-peer.js).
//
// NODE_PEER      libdatachannel, libwebrtc or werift
// NODE_PACKAGES  the folder in which they were installed
// W3C_PEER_DIR   where w3c-peer.js is
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import readline from 'node:readline';

const emit = (event) => process.stdout.write(`${JSON.stringify(event)}\n`);
const packages = createRequire(path.join(process.env.NODE_PACKAGES, 'node_modules', 'none.js'));

/** A tone of 440 Hz, or stripes that move: neither needs a device. */
function synthetic({ RTCAudioSource, RTCVideoSource }, kind) {
  if (kind === 'audio') {
    const source = new RTCAudioSource();
    let at = 0;
    setInterval(() => {
      const samples = Int16Array.from({ length: 480 }, () => 8000 * Math.sin((2 * Math.PI * 440 * at++) / 48000));
      source.onData({ samples, sampleRate: 48000, bitsPerSample: 16, channelCount: 1, numberOfFrames: 480 });
    }, 10);
    return source.createTrack();
  }
  const source = new RTCVideoSource();
  const [width, height] = [320, 180];
  let at = 0;
  setInterval(() => {
    at += 1;
    const data = new Uint8ClampedArray(width * height * 1.5).fill(128);
    for (let i = 0; i < width * height; i++) data[i] = (i + at * 7 + (i >> 8) * at) & 255;
    source.onFrame({ width, height, data });
  }, 66);
  return source.createTrack();
}

const stacks = {
  libdatachannel: () => ({
    RTCPeerConnection: packages('node-datachannel/polyfill').RTCPeerConnection,
    unsupported: ['media', 'rollback', 'certificate', 'stop_media'],
  }),
  libwebrtc: () => {
    const { RTCPeerConnection, RTCRtpReceiver, nonstandard } = packages('@roamhq/wrtc');
    return {
      RTCPeerConnection,
      getCapabilities: (kind) => RTCRtpReceiver.getCapabilities(kind),
      getTrack: async (kind) => synthetic(nonstandard, kind),
      unsupported: ['certificate', 'simulcast'],
    };
  },
  werift: () => ({
    RTCPeerConnection: packages('werift').RTCPeerConnection,
    unsupported: ['media', 'rollback', 'certificate', 'stop_media'],
  }),
};

const name = process.env.NODE_PEER;
(0, eval)(fs.readFileSync(path.join(process.env.W3C_PEER_DIR, 'w3c-peer.js'), 'utf8'));
const peer = createInteropPeer({
  emit,
  digest: async (bytes) => new Uint8Array(createHash('sha256').update(bytes).digest()),
  ...stacks[name](),
});
emit({ ev: 'ready', name, version: name, protocol: 1 });

const say = (problem) => emit({ ev: 'log', message: String(problem?.stack || problem) });
process.on('uncaughtException', say);
process.on('unhandledRejection', say);
const end = () => setTimeout(() => process.exit(0), 300);
readline.createInterface({ input: process.stdin })
  .on('line', (line) => {
    if (!line.trim()) return;
    const command = JSON.parse(line);
    peer.handle(command);
    if (command.op === 'close') end();
  })
  .on('close', end);
