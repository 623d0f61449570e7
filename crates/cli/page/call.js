// A call with the process: what it sends back is shown beside what was sent, with the figures of both ends.

import { capture, element, meet, problem, servers, state, toggles } from "./meeting.js";
import { Figures, milliseconds, ofBrowser, percent, rate } from "./figures.js";
import { Plot } from "./plot.js";

let peer;
let say;
let stream;
let keeps = false;

const outputs = (id) => [element(`${id}-now-1`), element(`${id}-now-2`)];
const plots = {
  rate: new Plot(element("plot-rate"), outputs("rate"), rate, 100_000),
  bandwidth: new Plot(element("plot-bandwidth"), outputs("bandwidth"), rate, 100_000),
  loss: new Plot(element("plot-loss"), outputs("loss"), percent, 1),
  jitter: new Plot(element("plot-jitter"), outputs("jitter"), milliseconds, 10),
  rtt: new Plot(element("plot-rtt"), outputs("rtt"), milliseconds, 1),
};

async function start() {
  element("start").disabled = true;
  state("connecting", "asking for the camera");
  const [used, own] = await Promise.all([servers(), capture({ width: { ideal: 640 }, height: { ideal: 480 } })]);
  if (!own.getTracks().length) throw new Error("This machine has neither camera nor microphone.");
  ({ keeps } = used);
  stream = own;
  element("own").srcObject = stream;
  const [microphone] = stream.getAudioTracks();
  const [camera] = stream.getVideoTracks();
  toggles(element("microphone"), microphone, ["Mute", "Unmute"]);
  toggles(element("camera"), camera, ["Camera off", "Camera on"]);

  peer = new RTCPeerConnection(used.configuration);
  const echo = new MediaStream();
  element("echo").srcObject = echo;
  peer.ontrack = ({ track }) => echo.addTrack(track);
  for (const track of stream.getTracks()) peer.addTrack(track, stream);
  say = await meet(peer, { page: "call" }, hear);
}

function end() {
  peer.close();
  for (const track of stream.getTracks()) track.stop();
  for (const id of ["own", "echo"]) element(id).srcObject = null;
  state("new", "ended");
  element("path").textContent = "";
}

document.addEventListener("state", ({ detail }) => {
  const open = detail === "open";
  const has = { microphone: stream?.getAudioTracks().length, camera: stream?.getVideoTracks().length };
  for (const id of ["microphone", "camera"]) element(id).disabled = !open || !has[id];
  element("sound").disabled = !open;
  element("record").disabled = !open || !keeps;
  element("start").disabled = detail === "connecting";
  element("start").textContent = open ? "End the call" : "Start the call";
  if (open && !keeps) record("", "To record, start the demo with --save FOLDER.");
});

element("start").addEventListener("click", () => {
  if (peer && peer.connectionState !== "closed") end();
  else start().catch((error) => problem("It did not connect", error.message));
});

element("sound").addEventListener("click", ({ target }) => {
  const echo = element("echo");
  echo.muted = !echo.muted;
  target.setAttribute("aria-pressed", String(!echo.muted));
  target.textContent = echo.muted ? "Hear it" : "Silence it";
});

// Recording: the process says how it goes.

function record(name, text) {
  element("recording").dataset.state = name;
  element("recording").textContent = text;
  element("record").textContent = name === "running" ? "Stop recording" : "Record";
}

element("record").addEventListener("click", () => say({ record: element("recording").dataset.state !== "running" }));

const sizes = (bytes) => (bytes >= 1048576 ? `${(bytes / 1048576).toFixed(1)} MiB` : `${Math.ceil(bytes / 1024)} KiB`);

function hear(message) {
  if (message.stats) show(message.stats);
  const { recording } = message;
  if (!recording) return;
  const { state: name, reason, file, bytes, seconds, videoFrames, audioPackets } = recording;
  if (name === "running") return record(name, "Recording …");
  if (name === "refused") return record(name, `Not recorded: ${reason}.`);
  const counts = [videoFrames && `${videoFrames} pictures`, `${audioPackets} packets of sound`].filter(Boolean).join(", ");
  record(name, `${file}: ${seconds.toFixed(1)} s, ${counts}, ${sizes(bytes)}; ${reason}.`);
  element("recording").dataset.file = file;
}

// Figures: those of the process come by the WebSocket, and the browser's own are taken at the same moment.

const theirs = new Figures();
const ours = new Figures();

async function show(report) {
  const process = theirs.add(report);
  const browser = peer.connectionState === "connected" ? ours.add(await ofBrowser(peer)) : null;
  if (process) {
    plots.rate.add(process.came, process.went);
    plots.bandwidth.add(browser?.available, process.available);
    plots.loss.add(process.loss, browser?.loss);
    plots.jitter.add(...process.jitter);
    plots.rtt.add(process.roundTrip, browser?.roundTrip);
  }
  const { videoWidth, videoHeight } = element("echo");
  element("echo-size").textContent = videoWidth ? `${videoWidth} × ${videoHeight}` : "";
}

addEventListener("pagehide", () => peer?.close());
servers();
