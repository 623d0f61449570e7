// A room: what each browser sends goes through the process to all others. The process offers what comes and goes; of
// each video it sends the layer that fits.

import { capture, element, meet, problem, servers, state, toggles } from "./meeting.js";
import { Figures, ofBrowser, rate } from "./figures.js";
import { Plot } from "./plot.js";

let peer;
let say;
let stream;
const tiles = new Map(); // by the name of the stream, which is the member's

const outputs = (id) => [element(`${id}-now-1`), element(`${id}-now-2`)];
const plots = {
  rate: new Plot(element("plot-rate"), outputs("rate"), rate, 100_000),
  bandwidth: new Plot(element("plot-bandwidth"), outputs("bandwidth"), rate, 100_000),
};

const here = new URL(location.href);
const room = here.searchParams.get("room");
if (room) element("room-name").value = room;
// A smaller picture, for machines that are slow.
const size = here.searchParams.has("small") ? { width: { ideal: 640 }, height: { ideal: 360 } } : { width: { ideal: 1280 }, height: { ideal: 720 } };

// Layers of simulcast, as many as browsers send of a picture of this height.
function layers(height) {
  const all = [
    { rid: "q", scaleResolutionDownBy: 4, maxBitrate: 150_000 },
    { rid: "h", scaleResolutionDownBy: 2, maxBitrate: 500_000 },
    { rid: "f", scaleResolutionDownBy: 1, maxBitrate: 1_500_000 },
  ];
  return height >= 540 ? all : all.slice(1);
}

async function join(name, mine) {
  element("join").disabled = true;
  state("connecting", "asking for the camera");
  const [{ configuration }, own] = await Promise.all([servers(), capture({ ...size, frameRate: { ideal: 24 } })]);
  stream = own;
  peer = new RTCPeerConnection(configuration);
  peer.ontrack = ({ track, streams: [theirs] }) => {
    const tile = tileOf(theirs.id, "");
    tile.video.srcObject = theirs;
    theirs.onremovetrack = () => { if (!theirs.getTracks().length) remove(theirs.id); };
    if (track.kind === "audio") tile.video.muted = false;
  };
  const [microphone] = stream.getAudioTracks();
  const [camera] = stream.getVideoTracks();
  const init = { direction: "sendonly", streams: [stream] };
  if (microphone) peer.addTransceiver(microphone, init);
  if (camera) {
    const { sender } = peer.addTransceiver(camera, { ...init, sendEncodings: layers(camera.getSettings().height) });
    // A machine that is busy shall send fewer pictures of each layer rather than fewer layers.
    sender.setParameters({ ...sender.getParameters(), degradationPreference: "maintain-resolution" }).catch(() => {});
  }
  // Who has nothing to show looks on.
  if (!microphone && !camera) peer.createDataChannel("watch");
  say = await meet(peer, { page: "room", room: name, name: mine }, hear);

  element("entry").hidden = true;
  element("meeting").hidden = false;
  element("meeting-name").textContent = name;
  const tile = tileOf("", `${mine} (you)`);
  tile.video.muted = true;
  tile.video.srcObject = stream;
  toggles(element("microphone"), microphone, ["Mute", "Unmute"]);
  toggles(element("camera"), camera, ["Camera off", "Camera on"]);
  [element("microphone").disabled, element("camera").disabled] = [!microphone, !camera];
  count();
}

element("entry-form").addEventListener("submit", (event) => {
  event.preventDefault();
  join(element("room-name").value, element("own-name").value).catch((error) => problem("You did not get in", error.message));
});
element("leave").addEventListener("click", () => {
  peer.onconnectionstatechange = null;
  peer.close();
  // The way through the relay alone stays, and so does the size of the picture.
  here.searchParams.set("room", element("meeting-name").textContent);
  location.assign(here);
});
element("limit").addEventListener("change", ({ target }) => say({ limit: target.value ? Number(target.value) : null }));

// Tiles: one for each member, and the own one.

function tileOf(id, name) {
  let tile = tiles.get(id);
  if (!tile) {
    const figure = document.createElement("figure");
    const video = Object.assign(document.createElement("video"), { autoplay: true, playsInline: true, muted: true });
    const caption = document.createElement("figcaption");
    const [who, what] = [document.createElement("strong"), document.createElement("span")];
    caption.append(who, what);
    figure.append(video, caption);
    element("tiles").append(figure);
    tile = { figure, video, who, what };
    tiles.set(id, tile);
  }
  if (name) {
    tile.who.textContent = name;
    tile.video.setAttribute("aria-label", name);
  }
  return tile;
}

function remove(id) {
  tiles.get(id)?.figure.remove();
  tiles.delete(id);
  count();
}

function count() {
  const others = tiles.size - 1;
  element("count").textContent = others === 0 ? "nobody else is here" : others === 1 ? "with one other" : `with ${others} others`;
}

// What the process says once a second: who is there, what is sent of whom, its figures.

const theirs = new Figures();
const ours = new Figures();

async function hear({ room: news, stats }) {
  if (!news) return;
  for (const { id, name, video } of news.members) {
    const tile = tileOf(id, name);
    const shown = video?.layers.find((layer) => layer.shown);
    const { videoWidth: width, videoHeight: height } = tile.video;
    tile.figure.dataset.layer = shown?.rid ?? "";
    tile.figure.dataset.layers = video?.layers.length ?? 0;
    tile.what.textContent = shown && width ? `${width} × ${height} · ${rate(shown.rate)}` : video ? "waiting for a picture" : "sound alone";
  }
  const present = new Set(news.members.map(({ id }) => id));
  for (const id of [...tiles.keys()]) if (id && !present.has(id)) remove(id);
  count();
  const process = theirs.add(stats);
  const browser = peer.connectionState === "connected" ? ours.add(await ofBrowser(peer)) : null;
  if (process) {
    plots.rate.add(process.went, process.came);
    plots.bandwidth.add(news.estimate, browser?.available);
  }
}

addEventListener("pagehide", () => peer?.close());
element("address").textContent = `Its address is ${location.origin}/room.`;
servers();
