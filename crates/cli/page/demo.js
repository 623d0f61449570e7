// The page's side of the demo: one RTCPeerConnection with a chat channel, a ping channel, and a channel
// for each upload. Signalling: POST /api/offer, candidates over the WebSocket /api/candidates/ID.

const element = (id) => document.getElementById(id);
const CHUNK = 64 * 1024; // a size that every browser sends as one message
const QUEUE = 1024 * 1024; // bytes that may wait in the channel
const SECONDS = 60; // width of the plots

let peer;
let chat;
let ping;
let uploading = false;
const acknowledged = { bytes: 0 }; // of the running upload, as the process reports

function state(name, text) {
  element("state").dataset.state = name;
  element("state-text").textContent = text;
  const open = name === "open";
  for (const id of ["chat-text", "chat-send", "file-input"]) element(id).disabled = !open;
}

function problem(text, report) {
  state("failed", "not connected");
  element("problem").hidden = false;
  element("problem-text").textContent = text;
  element("problem-report").textContent = report ?? "";
}

async function connect() {
  state("connecting", "connecting");
  element("problem").hidden = true;
  peer = new RTCPeerConnection();
  chat = peer.createDataChannel("chat");
  ping = peer.createDataChannel("ping", { ordered: false, maxRetransmits: 0 });

  chat.onopen = () => { state("open", "connected"); };
  chat.onmessage = (event) => say("theirs", event.data);
  chat.onclose = () => { if (peer.connectionState !== "failed") state("closed", "closed: reload to connect again"); };
  ping.onmessage = (event) => roundTrip.add(performance.now() - Number(event.data));

  // Candidates found before the process knows of us wait here.
  const early = [];
  let socket;
  peer.onicecandidate = ({ candidate }) => {
    const text = JSON.stringify(candidate ?? { candidate: "" });
    if (socket?.readyState === WebSocket.OPEN) socket.send(text); else early.push(text);
  };
  peer.onconnectionstatechange = () => {
    if (peer.connectionState === "failed") problem("The browser found no way to the process.", "");
  };

  await peer.setLocalDescription();
  const response = await fetch("api/offer", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(peer.localDescription),
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error ?? response.statusText);

  socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/api/candidates/${answer.id}`);
  socket.onopen = () => { for (const text of early.splice(0)) socket.send(text); };
  socket.onmessage = async (event) => {
    const message = JSON.parse(event.data);
    if (message.failed) problem(message.failed, message.report);
    else await peer.addIceCandidate(message).catch((error) => console.warn("candidate refused:", error));
  };
  await peer.setRemoteDescription({ type: answer.type, sdp: answer.sdp });
}

// Chat.

function say(who, text) {
  const line = document.createElement("li");
  line.className = who;
  line.textContent = text;
  element("chat-log").append(line);
  line.scrollIntoView({ block: "nearest" });
}

element("chat-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = element("chat-text").value.trim();
  if (!text || chat.readyState !== "open") return;
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
  try {
    const outcome = await transfer(file);
    const text = { equal: "Equal on both sides", different: "Not equal", unchecked: "Not compared (this page is not served securely)" };
    result(outcome.verdict, `${text[outcome.verdict]}: SHA-256 ${outcome.theirs}`);
  } catch (error) {
    result("failed", `The upload failed: ${error.message}`);
  } finally {
    uploading = false;
    element("file-input").value = "";
  }
}

function result(verdict, text) {
  element("upload-result").dataset.result = verdict;
  element("upload-result").textContent = text;
}

async function transfer(file) {
  const channel = peer.createDataChannel(`upload-${crypto.getRandomValues(new Uint32Array(1))[0]}`);
  channel.binaryType = "arraybuffer";
  channel.bufferedAmountLowThreshold = QUEUE / 2;
  const start = performance.now();
  acknowledged.bytes = 0;

  const theirs = new Promise((resolve, reject) => {
    channel.onmessage = (event) => {
      const message = JSON.parse(event.data);
      if (message.error) reject(new Error(message.error));
      if (message.sha256) resolve(message.sha256);
      acknowledged.bytes = message.received ?? acknowledged.bytes;
      const seconds = (performance.now() - start) / 1000;
      element("upload-progress").value = file.size ? acknowledged.bytes / file.size : 1;
      element("upload-text").textContent =
        `${mebibytes(acknowledged.bytes)} of ${mebibytes(file.size)}, ${mebibytes(acknowledged.bytes / seconds)}/s`;
    };
    channel.onclose = () => reject(new Error("the channel was closed"));
  });
  theirs.catch(() => {}); // awaited below; without this an early failure counts as unhandled
  await new Promise((resolve, reject) => {
    channel.onopen = resolve;
    channel.onerror = () => reject(new Error("the channel did not open"));
  });

  channel.send(JSON.stringify({ name: file.name, size: file.size }));
  for (let at = 0; at < file.size; at += CHUNK) {
    if (channel.readyState !== "open") break;
    channel.send(await file.slice(at, at + CHUNK).arrayBuffer());
    if (channel.bufferedAmount > QUEUE) {
      await Promise.race([new Promise((resolve) => { channel.onbufferedamountlow = resolve; }), theirs]);
    }
  }
  const ours = globalThis.crypto.subtle ? hex(await crypto.subtle.digest("SHA-256", await file.arrayBuffer())) : null;
  const hash = await theirs;
  channel.onclose = null;
  channel.close();
  return { theirs: hash, verdict: ours === null ? "unchecked" : ours === hash ? "equal" : "different" };
}

element("file-input").addEventListener("change", (event) => { if (event.target.files[0]) upload(event.target.files[0]); });
for (const [name, over] of [["dragover", true], ["dragleave", false], ["drop", false]]) {
  element("drop").addEventListener(name, (event) => {
    event.preventDefault();
    element("drop").classList.toggle("over", over);
    if (name === "drop" && event.dataTransfer.files[0]) upload(event.dataTransfer.files[0]);
  });
}

// Plots: the last minute of a figure.

class Plot {
  constructor(canvas, now, format) {
    this.canvas = canvas;
    this.now = now;
    this.format = format;
    this.points = [];
  }

  add(value) {
    const at = performance.now();
    this.points.push({ at, value });
    while (this.points.length && this.points[0].at < at - SECONDS * 1000) this.points.shift();
    this.now.textContent = this.format(value);
    this.draw(at);
  }

  draw(now) {
    const scale = devicePixelRatio || 1;
    const width = this.canvas.clientWidth;
    const height = 120;
    if (this.canvas.width !== width * scale) { this.canvas.width = width * scale; this.canvas.height = height * scale; }
    const pen = this.canvas.getContext("2d");
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    pen.clearRect(0, 0, width, height);
    const top = Math.max(...this.points.map((point) => point.value), 1e-9) * 1.15;
    const x = (at) => width - ((now - at) / (SECONDS * 1000)) * width;
    const y = (value) => height - 16 - (value / top) * (height - 28);

    // A probe for the colours, since light-dark() is resolved only on an element.
    const probe = element("state-text");
    const text = getComputedStyle(probe).color;
    pen.strokeStyle = text;
    pen.globalAlpha = 0.15;
    for (const part of [0, 0.5, 1]) {
      pen.beginPath(); pen.moveTo(0, y(top * part)); pen.lineTo(width, y(top * part)); pen.stroke();
    }
    pen.globalAlpha = 0.7;
    pen.fillStyle = text;
    pen.font = "11px system-ui, sans-serif";
    pen.fillText(this.format(top), 2, y(top) + 11);
    pen.fillText("1 min ago", 2, height - 3);
    pen.textAlign = "right"; pen.fillText("now", width - 2, height - 3); pen.textAlign = "left";
    pen.globalAlpha = 1;

    const accent = getComputedStyle(element("chat-send")).backgroundColor;
    pen.beginPath();
    this.points.forEach(({ at, value }, index) => (index ? pen.lineTo(x(at), y(value)) : pen.moveTo(x(at), y(value))));
    pen.strokeStyle = accent; pen.lineWidth = 2; pen.lineJoin = "round"; pen.stroke();
    if (this.points.length > 1) {
      pen.lineTo(x(this.points.at(-1).at), y(0)); pen.lineTo(x(this.points[0].at), y(0));
      pen.fillStyle = accent; pen.globalAlpha = 0.12; pen.fill(); pen.globalAlpha = 1;
    }
  }
}

const roundTrip = new Plot(element("plot-rtt"), element("rtt-now"), (ms) => `${ms.toFixed(ms < 10 ? 1 : 0)} ms`);
const throughput = new Plot(element("plot-rate"), element("rate-now"), (rate) => `${rate.toFixed(rate < 10 ? 1 : 0)} MiB/s`);

setInterval(() => { if (ping?.readyState === "open") ping.send(String(performance.now())); }, 500);
let last = { at: performance.now(), bytes: 0 };
setInterval(() => {
  const at = performance.now();
  const moved = Math.max(acknowledged.bytes - last.bytes, 0);
  if (chat?.readyState === "open") throughput.add(moved / 1048576 / ((at - last.at) / 1000));
  last = { at, bytes: acknowledged.bytes };
}, 500);

element("again").addEventListener("click", () => location.reload());
window.addEventListener("pagehide", () => peer?.close());
connect().catch((error) => problem(error.message));
