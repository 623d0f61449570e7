use std::collections::BTreeMap;
use std::collections::btree_map;

use super::value::Member;
use super::{
    CandidatePairStats, CandidateStats, CertificateStats, CodecStats, DataChannelStats, InboundRtpStats,
    MediaSourceStats, OutboundRtpStats, PeerConnectionStats, RemoteInboundRtpStats, RemoteOutboundRtpStats,
    StatsId, Timestamp, TransportStats, Value,
};

/// Dictionaries by their ids (`RTCStatsReport`).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StatsReport {
    /// When all of it was so: the `timestamp` of every dictionary, but where one says otherwise.
    pub timestamp: Timestamp,
    pub(super) entries: BTreeMap<StatsId, Dictionary>,
}

/// One of a report's dictionaries.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Dictionary {
    /// The connection as a whole.
    PeerConnection(PeerConnectionStats),
    /// A transport: ICE, and DTLS over it.
    Transport(TransportStats),
    /// A way to the peer that is, or was, checked.
    CandidatePair(CandidatePairStats),
    /// An address of ours.
    LocalCandidate(CandidateStats),
    /// An address of the peer's.
    RemoteCandidate(CandidateStats),
    /// A certificate of ours, or the peer's.
    Certificate(CertificateStats),
    /// A data channel.
    DataChannel(DataChannelStats),
    /// A codec.
    Codec(CodecStats),
    /// A stream that comes.
    InboundRtp(InboundRtpStats),
    /// What the receiver says of a stream of ours.
    RemoteInboundRtp(RemoteInboundRtpStats),
    /// A stream that is sent.
    OutboundRtp(OutboundRtpStats),
    /// What the sender says of a stream of its own.
    RemoteOutboundRtp(RemoteOutboundRtpStats),
    /// The source of what is sent.
    MediaSource(MediaSourceStats),
}

impl StatsReport {
    pub(super) fn insert(&mut self, id: StatsId, dictionary: Dictionary) {
        self.entries.insert(id, dictionary);
    }

    /// What has this id.
    pub fn get(&self, id: &str) -> Option<&Dictionary> {
        self.entries.get(id)
    }

    /// All of it, by the order of ids.
    pub fn iter(&self) -> btree_map::Iter<'_, StatsId, Dictionary> {
        self.entries.iter()
    }

    /// How many dictionaries there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The connection as a whole.
    pub fn peer_connection(&self) -> Option<&PeerConnectionStats> {
        self.entries.values().find_map(|entry| {
            let Dictionary::PeerConnection(stats) = entry else { return None };
            Some(stats)
        })
    }

    /// The transports.
    pub fn transports(&self) -> impl Iterator<Item = (&StatsId, &TransportStats)> {
        self.iter().filter_map(|(id, entry)| {
            let Dictionary::Transport(stats) = entry else { return None };
            Some((id, stats))
        })
    }

    /// The pairs of candidates.
    pub fn candidate_pairs(&self) -> impl Iterator<Item = (&StatsId, &CandidatePairStats)> {
        self.iter().filter_map(|(id, entry)| {
            let Dictionary::CandidatePair(stats) = entry else { return None };
            Some((id, stats))
        })
    }

    /// The data channels.
    pub fn data_channels(&self) -> impl Iterator<Item = (&StatsId, &DataChannelStats)> {
        self.iter().filter_map(|(id, entry)| {
            let Dictionary::DataChannel(stats) = entry else { return None };
            Some((id, stats))
        })
    }

    /// The streams that come.
    pub fn inbound_rtp(&self) -> impl Iterator<Item = (&StatsId, &InboundRtpStats)> {
        self.iter().filter_map(|(id, entry)| {
            let Dictionary::InboundRtp(stats) = entry else { return None };
            Some((id, stats))
        })
    }

    /// The streams that are sent.
    pub fn outbound_rtp(&self) -> impl Iterator<Item = (&StatsId, &OutboundRtpStats)> {
        self.iter().filter_map(|(id, entry)| {
            let Dictionary::OutboundRtp(stats) = entry else { return None };
            Some((id, stats))
        })
    }

    /// What belongs to the dictionary with this id: itself, and what it and those name that it names, to the end
    /// (W3C WebRTC 1.0 §8.5, the stats selection algorithm).
    #[must_use]
    pub fn selection(&self, id: &str) -> Self {
        self.select(vec![id.to_owned()])
    }

    /// The same of several.
    pub(super) fn select(&self, mut named: Vec<String>) -> Self {
        let mut selected = Self { timestamp: self.timestamp, entries: BTreeMap::new() };
        while let Some(id) = named.pop() {
            let Some((id, entry)) = self.entries.get_key_value(id.as_str()) else { continue };
            if selected.entries.contains_key(id) {
                continue;
            }
            for (name, value) in entry.members() {
                if let Some(Value::Text(text)) = value.filter(|_| name.ends_with("Id")) {
                    named.push(text.to_owned());
                }
            }
            selected.entries.insert(id.clone(), entry.clone());
        }
        selected
    }
}

impl<'a> IntoIterator for &'a StatsReport {
    type Item = (&'a StatsId, &'a Dictionary);
    type IntoIter = btree_map::Iter<'a, StatsId, Dictionary>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl Dictionary {
    /// What it is about, by the specification's name (`RTCStatsType`).
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::PeerConnection(_) => "peer-connection",
            Self::Transport(_) => "transport",
            Self::CandidatePair(_) => "candidate-pair",
            Self::LocalCandidate(_) => "local-candidate",
            Self::RemoteCandidate(_) => "remote-candidate",
            Self::Certificate(_) => "certificate",
            Self::DataChannel(_) => "data-channel",
            Self::Codec(_) => "codec",
            Self::InboundRtp(_) => "inbound-rtp",
            Self::RemoteInboundRtp(_) => "remote-inbound-rtp",
            Self::OutboundRtp(_) => "outbound-rtp",
            Self::RemoteOutboundRtp(_) => "remote-outbound-rtp",
            Self::MediaSource(_) => "media-source",
        }
    }

    /// The members by the specification's names and in its units, without `id`, `type` and `timestamp`; those that have no
    /// value at the moment are named, too.
    pub fn members(&self) -> Vec<Member<'_>> {
        match self {
            Self::PeerConnection(stats) => stats.members(),
            Self::Transport(stats) => stats.members(),
            Self::CandidatePair(stats) => stats.members(),
            Self::LocalCandidate(stats) | Self::RemoteCandidate(stats) => stats.members(),
            Self::Certificate(stats) => stats.members(),
            Self::DataChannel(stats) => stats.members(),
            Self::Codec(stats) => stats.members(),
            Self::InboundRtp(stats) => stats.members(),
            Self::RemoteInboundRtp(stats) => stats.members(),
            Self::OutboundRtp(stats) => stats.members(),
            Self::RemoteOutboundRtp(stats) => stats.members(),
            Self::MediaSource(stats) => stats.members(),
        }
    }
}
