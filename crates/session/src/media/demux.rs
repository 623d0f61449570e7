//! Whose a packet of RTP is: by the section that it names, by its source, or by its payload type (RFC 9143 §9.2).

use std::time::Duration;

use proto::{Instant, Ssrc};
use rtp::extension::Kind;
use rtp::{Mid, Packet, Rid};

use super::TransceiverId;
use super::transceiver::Transceiver;
use crate::Discard;
use crate::transports::TransportId;

/// What is known of the peer's sources. Where there are as many as the limit, a new one takes the place of the one that has been
/// silent longest.
#[derive(Debug)]
pub(crate) struct Streams {
    /// Sorted by SSRC.
    sources: Vec<(Ssrc, Source)>,
    limit: usize,
    receivers: Vec<Receiver>,
    mid_id: Option<u8>,
    rid_id: Option<u8>,
    repaired_id: Option<u8>,
}

/// A source, as far as its packets or descriptions have told.
#[derive(Clone, Copy, Debug)]
struct Source {
    transceiver: TransceiverId,
    rid: Option<Rid>,
    /// When a packet of it came last.
    heard: Option<Instant>,
    /// The description that holds names it.
    is_named: bool,
}

/// A transceiver that receives.
#[derive(Debug)]
struct Receiver {
    id: TransceiverId,
    mid: Option<Mid>,
    /// The payload types that may come, a bit each.
    types: u128,
    /// Those of them that are retransmissions.
    repairs: u128,
    rids: Vec<Rid>,
}

/// Where a packet belongs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Routed {
    pub transceiver: TransceiverId,
    pub rid: Option<Rid>,
    pub is_repair: bool,
    /// The source was not known before.
    pub is_new: bool,
}

impl Streams {
    /// For `limit` sources.
    pub(crate) const fn new(limit: usize) -> Self {
        Self {
            sources: Vec::new(),
            limit,
            receivers: Vec::new(),
            mid_id: None,
            rid_id: None,
            repaired_id: None,
        }
    }

    /// Follows what was agreed upon; what was learned from packets stays where its transceiver still receives.
    pub(crate) fn follow(&mut self, transceivers: &[Transceiver], transport: TransportId) {
        self.receivers.clear();
        (self.mid_id, self.rid_id, self.repaired_id) = (None, None, None);
        let transceivers = || transceivers.iter().filter(|it| it.association.transport == transport);
        for transceiver in transceivers() {
            let association = &transceiver.association;
            let receives = association.current.is_some_and(sdp::Direction::receives);
            let (true, Some(negotiated)) = (receives && !transceiver.is_stopping, &association.negotiated)
            else {
                continue;
            };
            let bit = |number: rtp::PayloadType| 1_u128 << number.get();
            let codecs = negotiated.receive();
            let repairs = codecs.iter().filter_map(|codec| codec.rtx).map(bit).fold(0, |all, bit| all | bit);
            let types =
                codecs.iter().map(|codec| bit(codec.payload_type)).fold(repairs, |all, bit| all | bit);
            let mid = association.mid.as_deref().and_then(|mid| Mid::new(mid.as_bytes()));
            let rids = negotiated.receive_rids.clone();
            self.receivers.push(Receiver { id: transceiver.id, mid, types, repairs, rids });
            // One meaning in the whole bundle (RFC 8285 §5).
            let id = |kind| negotiated.extensions.id(kind);
            self.mid_id = self.mid_id.or_else(|| id(Kind::Mid));
            self.rid_id = self.rid_id.or_else(|| id(Kind::Rid));
            self.repaired_id = self.repaired_id.or_else(|| id(Kind::RepairedRid));
        }
        let receivers = &self.receivers;
        let receives = |id: TransceiverId| receivers.iter().any(|receiver| receiver.id == id);
        self.sources.retain(|(_, source)| receives(source.transceiver));
        self.sources.iter_mut().for_each(|(_, source)| source.is_named = false);
        let mut fresh = Vec::new();
        for transceiver in transceivers().filter(|transceiver| receives(transceiver.id)) {
            let negotiated = transceiver.association.negotiated.iter();
            let named = negotiated.flat_map(|negotiated| &negotiated.remote_sources);
            for ssrc in named.flat_map(|(ssrc, rtx)| [Some(*ssrc), *rtx]).flatten() {
                match self.sources.binary_search_by_key(&ssrc, |it| it.0) {
                    // What a packet has said weighs more than what was described.
                    Ok(place) => {
                        self.sources.iter_mut().skip(place).take(1).for_each(|it| it.1.is_named = true)
                    }
                    Err(_) => fresh.push((ssrc, transceiver.id)),
                }
            }
        }
        // Named once, and never heard.
        self.sources.retain(|(_, source)| source.is_named || source.heard.is_some());
        for (ssrc, transceiver) in fresh {
            let source = Source { transceiver, rid: None, heard: None, is_named: true };
            // Of more than the limit packets have to tell.
            let _ = self.add(ssrc, source, |_| true);
        }
        self.sources.shrink_to_fit();
        self.receivers.shrink_to_fit();
    }

    /// Says whose an authenticated packet is, and learns from it.
    pub(crate) fn route(&mut self, now: Instant, packet: &Packet<'_>) -> Result<Routed, Discard> {
        let header = packet.header();
        let ssrc = header.ssrc;
        let number = header.payload_type.get();
        let mid = self.mid_id.and_then(|id| packet.element(id));
        let known = self.sources.binary_search_by_key(&ssrc, |it| it.0);
        let source = known.ok().and_then(|place| self.sources.get(place)).map(|(_, source)| *source);

        let receiver = match (mid, source) {
            (None, Some(source)) => self.receiver(source.transceiver),
            (Some(mid), Some(source)) => {
                let is_it = |it: &&Receiver| it.mid.is_some_and(|own| own.as_bytes() == mid);
                self.receiver(source.transceiver).filter(is_it).or_else(|| self.by_mid(mid))
            }
            (Some(mid), None) => self.by_mid(mid),
            (None, None) => self.by_rid(packet).or_else(|| self.by_type(number)),
        };
        let receiver = receiver.ok_or(Discard::UnknownStream)?;
        let is_repair = receiver.repairs >> number & 1 == 1;
        if receiver.types >> number & 1 == 0 {
            return Err(Discard::UnknownPayloadType);
        }
        let id = receiver.id;
        let former = source.filter(|source| source.transceiver == id);
        let rid = former.and_then(|source| source.rid);
        let rid = rid.or_else(|| self.rid_of(packet).filter(|rid| receiver.rids.contains(rid)));
        let is_named = source.is_some_and(|source| source.is_named);
        let learned = Source { transceiver: id, rid, heard: Some(now), is_named };
        match known.ok().and_then(|place| self.sources.get_mut(place)) {
            Some(slot) => slot.1 = learned,
            None => self.add(ssrc, learned, |heard| now - heard >= SILENCE)?,
        }
        Ok(Routed { transceiver: id, rid, is_repair, is_new: source.is_none() })
    }

    /// Adds one that is not known. Where there is no room, it is in the place of the one that has been silent longest, of those
    /// that no description names and that `may_go` by when they were heard.
    fn add(&mut self, ssrc: Ssrc, source: Source, may_go: impl Fn(Instant) -> bool) -> Result<(), Discard> {
        if self.sources.len() >= self.limit {
            let heard = |(place, (_, source)): (usize, &(Ssrc, Source))| {
                Some((source.heard.filter(|heard| !source.is_named && may_go(*heard))?, place))
            };
            let silent = self.sources.iter().enumerate().filter_map(heard).min();
            let (_, place) = silent.ok_or(Discard::TooManySources)?;
            self.sources.remove(place);
        }
        if let Err(place) = self.sources.binary_search_by_key(&ssrc, |it| it.0) {
            self.sources.insert(place, (ssrc, source));
        }
        Ok(())
    }

    /// How many sources are known.
    pub(crate) const fn len(&self) -> usize {
        self.sources.len()
    }

    fn receiver(&self, id: TransceiverId) -> Option<&Receiver> {
        self.receivers.iter().find(|receiver| receiver.id == id)
    }

    fn by_mid(&self, mid: &[u8]) -> Option<&Receiver> {
        self.receivers.iter().find(|receiver| receiver.mid.is_some_and(|own| own.as_bytes() == mid))
    }

    /// The only one that has a stream of this name.
    fn by_rid(&self, packet: &Packet<'_>) -> Option<&Receiver> {
        let rid = self.rid_of(packet)?;
        only(self.receivers.iter().filter(|receiver| receiver.rids.contains(&rid)))
    }

    /// The only one that receives this payload type.
    fn by_type(&self, number: u8) -> Option<&Receiver> {
        only(self.receivers.iter().filter(|receiver| receiver.types >> number & 1 == 1))
    }

    /// The name of the packet's stream, or of the one that it repairs.
    fn rid_of(&self, packet: &Packet<'_>) -> Option<Rid> {
        let element = |id: Option<u8>| id.and_then(|id| packet.element(id));
        Rid::new(element(self.rid_id).or_else(|| element(self.repaired_id))?)
    }
}

fn only<T>(mut found: impl Iterator<Item = T>) -> Option<T> {
    found.next().filter(|_| found.next().is_none())
}

/// A source that has been silent for so long makes room for another.
const SILENCE: Duration = Duration::from_secs(5);
