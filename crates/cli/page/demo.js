// The page's side of the data channels: one RTCPeerConnection with a chat channel, a ping channel, and a channel for each upload.

import { element, meet, problem, servers } from "./meeting.js";
import { Plot } from "./plot.js";

const CHUNK = 64 * 1024; // a size that every browser sends as one message
const BLOCK = 4 * 1024 * 1024; // read from the file at once
const QUEUE = 4 * 1024 * 1024; // bytes that may wait in the channel
const HASHABLE = 2 ** 30; // the browser hashes only what it holds in memory as a whole

let peer;
let chat;
let ping;
let uploading = false;
let acknowledged = 0; // bytes of all uploads, as the process reports

// What is written on may be used while it is connected.
document.addEventListener("state", ({ detail }) => {
  for (const id of ["chat-text", "chat-send", "file-input"]) element(id).disabled = detail !== "open";
});

async function connect() {
  peer = new RTCPeerConnection((await servers()).configuration);
  chat = peer.createDataChannel("chat");
  ping = peer.createDataChannel("ping", { ordered: false, maxRetransmits: 0 });
  chat.onmessage = (event) => say("theirs", event.data);
  chat.onclose = () => problem("It has ended", "The process has closed the connection.");
  ping.onmessage = (event) => roundTrip.add(performance.now() - Number(event.data));
  await meet(peer, { page: "data" });
}

// Chat.

function say(who, text) {
  const line = document.createElement("li");
  line.className = who;
  line.textContent = text;
  const log = element("chat-log");
  log.append(line);
  log.scrollTop = log.scrollHeight;
}

element("chat-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = element("chat-text").value.trim();
  if (!text || chat?.readyState !== "open") return;
  chat.send(text);
  say("mine", text);
  element("chat-text").value = "";
});

// Upload: the size and name as text, the bytes in chunks, then the process answers with its hash.

const hex = (buffer) => [...new Uint8Array(buffer)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
const mebibytes = (bytes) => `${(bytes / 1048576).toFixed(1)} MiB`;

async function upload(file) {
  if (uploading || chat?.readyState !== "open") return;
  uploading = true;
  result("", "");
  element("upload-name").textContent = file.name;
  try {
    const { verdict, theirs } = await transfer(file);
    const text = {
      equal: "Equal on both sides",
      different: "Not equal: the process has other bytes",
      unhashed: "Arrived; this page cannot hash it to compare",
    };
    result(verdict, text[verdict], theirs);
  } catch (error) {
    result("failed", `The upload failed: ${error.message}`);
  } finally {
    uploading = false;
    element("file-input").value = "";
  }
}

function result(verdict, text, hash) {
  const line = element("upload-result");
  line.dataset.result = verdict;
  line.textContent = text;
  if (!hash) return;
  const code = document.createElement("code");
  code.textContent = hash;
  line.append(code);
}

function progress(received, size, start) {
  const seconds = Math.max(performance.now() - start, 1) / 1000;
  element("upload-progress").value = size ? received / size : 1;
  element("upload-text").textContent =
    `${mebibytes(received)} of ${mebibytes(size)} · ${mebibytes(received / seconds)}/s`;
}

async function transfer(file) {
  const channel = peer.createDataChannel(`upload-${crypto.getRandomValues(new Uint32Array(1))[0]}`);
  channel.binaryType = "arraybuffer";
  channel.bufferedAmountLowThreshold = QUEUE / 2;
  const start = performance.now();
  const before = acknowledged;
  progress(0, file.size, start);

  const theirs = new Promise((resolve, reject) => {
    channel.onmessage = (event) => {
      const message = JSON.parse(event.data);
      if (message.error) reject(new Error(message.error));
      acknowledged = before + (message.received ?? 0);
      progress(message.received ?? 0, file.size, start);
      if (message.sha256) resolve(message.sha256);
    };
    channel.onclose = () => reject(new Error("the channel was closed"));
  });
  theirs.catch(() => {}); // awaited below; without this an early failure counts as unhandled
  await Promise.race([new Promise((resolve) => { channel.onopen = resolve; }), theirs]);
  try {
    channel.send(JSON.stringify({ name: file.name, size: file.size }));
    await sendBytes(file, channel, theirs);
    const ours = await digest(file);
    const hash = await theirs;
    return { theirs: hash, verdict: ours === null ? "unhashed" : ours === hash ? "equal" : "different" };
  } finally {
    channel.onclose = null;
    channel.close();
  }
}

// Reads a block ahead, so that the channel never waits for the file. Throws what `failed` throws.
async function sendBytes(file, channel, failed) {
  const read = (at) => (at < file.size ? file.slice(at, at + BLOCK).arrayBuffer() : null);
  let next = read(0);
  for (let at = 0; at < file.size; at += BLOCK) {
    const block = await next;
    next = read(at + BLOCK);
    for (let from = 0; from < block.byteLength; from += CHUNK) {
      if (channel.bufferedAmount > QUEUE) {
        await Promise.race([new Promise((resolve) => { channel.onbufferedamountlow = resolve; }), failed]);
      }
      if (channel.readyState !== "open") return;
      channel.send(new Uint8Array(block, from, Math.min(CHUNK, block.byteLength - from)));
    }
  }
}

// Browsers hash only on pages that are served securely, or by this machine.
async function digest(file) {
  if (!globalThis.crypto.subtle || file.size > HASHABLE) return null;
  return hex(await crypto.subtle.digest("SHA-256", await file.arrayBuffer()));
}

element("file-input").addEventListener("change", (event) => { if (event.target.files[0]) upload(event.target.files[0]); });
for (const [name, over] of [["dragover", true], ["dragleave", false], ["drop", false]]) {
  // A file that misses the field must not replace the page.
  addEventListener(name, (event) => {
    event.preventDefault();
    const inside = element("drop").contains(event.target);
    element("drop").classList.toggle("over", over && inside);
    if (name === "drop" && inside && event.dataTransfer.files[0]) upload(event.dataTransfer.files[0]);
  });
}

// Plots.

const figure = (value) => value.toFixed(value === 0 || value >= 10 ? 0 : value < 0.1 ? 2 : 1);
const roundTrip = new Plot(element("plot-rtt"), element("rtt-now"), (ms) => `${figure(ms)} ms`, 1);
const throughput = new Plot(element("plot-rate"), element("rate-now"), (rate) => `${figure(rate)} MiB/s`, 1);

let last = { at: performance.now(), bytes: 0 };
setInterval(() => {
  const at = performance.now();
  if (ping?.readyState === "open") {
    ping.send(String(at));
    throughput.add(Math.max(acknowledged - last.bytes, 0) / 1048576 / ((at - last.at) / 1000));
  }
  last = { at, bytes: acknowledged };
}, 500);

addEventListener("pagehide", () => {
  if (chat) chat.onclose = null;
  peer?.close();
});
connect().catch((error) => problem("It did not connect", error.message));
