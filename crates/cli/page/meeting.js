// What all pages share: how they meet the process, and how they say how that goes. Signalling: POST /api/offer with the
// first offer and the page it is of; then the WebSocket /api/candidates/ID carries candidates both ways, later offers of
// the process with their answers, what the page wants, and what it shows. What can be used on the way: GET /api/servers.

export const element = (id) => document.getElementById(id);

// How it stands, in the page's corner. Pages hear of it by the event "state" of the document.
export function state(name, text) {
  element("state").dataset.state = name;
  element("state-text").textContent = text;
  if (name !== "open") element("path").textContent = "";
  document.dispatchEvent(new CustomEvent("state", { detail: name }));
}

export function problem(title, text, report) {
  // The first problem is the cause of those that follow.
  if (!element("problem").hidden && !report) return;
  state("failed", title === "It has ended" ? "closed" : "not connected");
  element("problem").hidden = false;
  element("problem-title").textContent = title;
  element("problem-text").textContent = text;
  element("problem-details").hidden = !report;
  element("problem-report").textContent = report ?? "";
}

element("again").addEventListener("click", () => location.reload());

// What a page may use. The process may have a TURN server: it is used too, or with "?relay" nothing else.
export async function servers() {
  const { turn, keeps } = await fetch("/api/servers").then((response) => response.json()).catch(() => ({ turn: null, keeps: false }));
  const here = new URL(location.href);
  const alone = here.searchParams.has("relay");
  if (!turn) return { keeps, configuration: alone ? { iceTransportPolicy: "relay" } : {} };
  element("relay").hidden = false;
  if (alone) here.searchParams.delete("relay"); else here.searchParams.set("relay", "");
  const link = element("relay-link");
  link.href = here.href;
  if (alone) link.textContent = "By any way";
  const { port, username, credential } = turn;
  const urls = ["udp", "tcp"].map((transport) => `turn:${location.hostname}:${port}?transport=${transport}`);
  return { keeps, configuration: { iceServers: [{ urls, username, credential }], iceTransportPolicy: alone ? "relay" : "all" } };
}

// Offers what `peer` has to the process, for `page` ({ page: "data" }, for example). `hear` is given what else the process
// says. Gives a function by which the page says what it wants.
export async function meet(peer, page, hear = () => {}) {
  state("connecting", "connecting");
  // Candidates found before the process knows of us wait here.
  const early = [];
  let socket;
  const say = (message) => {
    const text = JSON.stringify(message);
    if (socket?.readyState === WebSocket.OPEN) socket.send(text); else early.push(text);
  };
  peer.onicecandidate = ({ candidate }) => say(candidate ?? { candidate: "" });
  peer.onconnectionstatechange = () => {
    const now = peer.connectionState;
    if (now === "failed") problem("It did not connect", "The browser found no way to the process.");
    if (now === "disconnected") state("connecting", "nothing is heard of the process");
    if (now === "connected") { state("open", "connected"); showPath(peer); }
    // The process says goodbye by DTLS.
    if (now === "closed") problem("It has ended", "The process has closed the connection.");
  };

  await peer.setLocalDescription();
  const { type, sdp } = peer.localDescription;
  const response = await fetch("/api/offer", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ type, sdp, ...page }),
  }).catch(() => { throw new Error("The process does not answer: is it still running?"); });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error ?? response.statusText);

  socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/api/candidates/${answer.id}`);
  socket.onopen = () => { for (const text of early.splice(0)) socket.send(text); };
  // Both sides' candidates come in any order: those of the process wait for its description, and so do its offers.
  let turn = peer.setRemoteDescription({ type: answer.type, sdp: answer.sdp });
  const described = turn;
  socket.onmessage = ({ data }) => {
    const message = JSON.parse(data);
    if (message.failed) return problem("It did not connect", message.failed, message.report);
    if (message.error) return console.warn(message.error);
    if (message.type === "offer") turn = turn.then(() => reply(peer, message, say)).catch((error) => problem("It has ended", error.message));
    else if (message.candidate !== undefined) described.then(() => peer.addIceCandidate(message)).catch((error) => console.warn("candidate refused:", error));
    else hear(message);
  };
  await described;
  return say;
}

// The process alone makes offers after the first, so that two never meet.
async function reply(peer, offer, say) {
  if (peer.signalingState === "closed") return;
  await peer.setRemoteDescription(offer);
  await peer.setLocalDescription();
  const { type, sdp } = peer.localDescription;
  say({ type, sdp });
}

// How the two are joined: address, kinds of candidates, DTLS version.
async function showPath(peer) {
  const stats = [...(await peer.getStats()).values()];
  const find = (id) => stats.find((entry) => entry.id === id);
  const transport = stats.find((entry) => entry.type === "transport");
  const pair = find(transport?.selectedCandidatePairId);
  const [local, remote] = [find(pair?.localCandidateId), find(pair?.remoteCandidateId)];
  if (!remote) return;
  const host = remote.address?.includes(":") ? `[${remote.address}]` : remote.address;
  const versions = { FEFD: "DTLS 1.2", FEFC: "DTLS 1.3" };
  const parts = [`${remote.protocol} ${host}:${remote.port}`, `${local?.candidateType} to ${remote.candidateType}`];
  if (versions[transport.tlsVersion]) parts.push(versions[transport.tlsVersion]);
  element("path").textContent = parts.join(" · ");
}

// Microphone and camera, or what there is of them.
export async function capture(video) {
  if (!navigator.mediaDevices) {
    throw new Error(`Browsers give camera and microphone to pages of this machine, or over HTTPS, alone: open ${location.protocol}//127.0.0.1:${location.port}${location.pathname} where the process runs.`);
  }
  const audio = { echoCancellation: true };
  const absent = (error) => {
    if (error.name === "NotAllowedError") throw new Error("The browser was not allowed to use camera and microphone.");
    return null;
  };
  return await navigator.mediaDevices.getUserMedia({ audio, video }).catch(absent)
    ?? await navigator.mediaDevices.getUserMedia({ audio }).catch(absent)
    ?? await navigator.mediaDevices.getUserMedia({ video }).catch(absent)
    ?? new MediaStream();
}

// A button that switches one of the own tracks on and off.
export function toggles(button, track, names) {
  const show = () => {
    const on = Boolean(track?.enabled);
    button.setAttribute("aria-pressed", String(!on));
    button.textContent = on ? names[0] : names[1];
  };
  button.onclick = () => { track.enabled = !track.enabled; show(); };
  show();
}
