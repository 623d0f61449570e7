// What two reports of getStats, one after the other, tell of the time between. The process has the same names for
// everything as a browser: one function reads both.

// The sums of a report: an object of dictionaries by their ids.
function digest(report) {
  const all = Object.values(report);
  const of = (type) => all.filter((entry) => entry.type === type);
  const sum = (entries, name) => entries.reduce((total, entry) => total + (entry[name] ?? 0), 0);
  const most = (entries, name) => {
    const values = entries.map((entry) => entry[name]).filter((value) => value !== undefined);
    return values.length ? Math.max(...values) : null;
  };
  const [came, went] = [of("inbound-rtp"), of("outbound-rtp")];
  const transport = of("transport")[0];
  const pair = all.find((entry) => entry.id === transport?.selectedCandidatePairId) ?? {};
  return {
    at: Math.max(...all.map((entry) => entry.timestamp)),
    bytes: [sum(came, "bytesReceived"), sum(went, "bytesSent")],
    packets: sum(came, "packetsReceived"),
    lost: sum(came, "packetsLost"),
    jitter: ["audio", "video"].map((kind) => most(came.filter((entry) => entry.kind === kind), "jitter")),
    roundTrip: pair.currentRoundTripTime ?? most(of("remote-inbound-rtp"), "roundTripTime"),
    available: pair.availableOutgoingBitrate ?? null,
  };
}

const grown = (before, after) => Math.max(after - before, 0);

export class Figures {
  // Bit/s both ways, loss in percent, jitter and round trip in ms; null with the first report, or where it is not known.
  add(report) {
    const [before, now] = [this.last, digest(report)];
    this.last = now;
    if (!before || now.at <= before.at) return null;
    const seconds = (now.at - before.at) / 1000;
    const [came, went] = [0, 1].map((way) => grown(before.bytes[way], now.bytes[way]) * 8 / seconds);
    const [packets, lost] = [grown(before.packets, now.packets), grown(before.lost, now.lost)];
    const milliseconds = (value) => (value === null ? null : value * 1000);
    return {
      came, went,
      loss: packets + lost ? (lost / (packets + lost)) * 100 : null,
      jitter: now.jitter.map(milliseconds),
      roundTrip: milliseconds(now.roundTrip),
      available: now.available,
    };
  }
}

// The browser's own report, in the process's shape.
export const ofBrowser = async (peer) => Object.fromEntries(await peer.getStats());

const digits = (value) => value.toFixed(value === 0 || value >= 10 ? 0 : value < 0.1 ? 2 : 1);
export const rate = (bits) => (bits >= 999_500 ? `${digits(bits / 1e6)} Mbit/s` : `${Math.round(bits / 1000)} kbit/s`);
export const milliseconds = (value) => `${digits(value)} ms`;
export const percent = (value) => `${digits(value)} %`;
