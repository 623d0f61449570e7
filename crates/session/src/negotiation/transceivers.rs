//! Transceivers: how they are made and stopped, which section is whose, and what a description makes of them
//! (RFC 9429 §3.4 and §5.9 to §5.11, W3C WebRTC 1.0 §4.4.1 and §5.4).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crypto::{Rng, Secret, derive_seed};
use proto::Ssrc;
use rtp::Rid;
use sdp::{Direction, Media, SessionDescription, StreamDirection};

use super::{Before, Choice, MediaContext, Negotiation, Replaced, Section, SectionKind, rejected};
use crate::TransceiverError;
use crate::media::agree::simulcast;
use crate::media::codec::helps_others;
use crate::media::encoding::{check_encodings, scale_layers};
use crate::media::section::kind_of;
use crate::media::transceiver::{Association, TrackNews, Transaction, Transceiver};
use crate::media::{Codec, Encoding, MediaKind, Negotiated, SendEncoding, TransceiverId, TransceiverInit};

impl Negotiation {
    pub(crate) fn transceiver(&self, id: TransceiverId) -> Option<&Transceiver> {
        let at = TransceiverId::place(&self.transceivers, id, |transceiver| transceiver.id)?;
        self.transceivers.get(at)
    }

    pub(crate) fn transceiver_mut(&mut self, id: TransceiverId) -> Option<&mut Transceiver> {
        let at = TransceiverId::place(&self.transceivers, id, |transceiver| transceiver.id)?;
        self.transceivers.get_mut(at)
    }

    /// The transceiver of a section that is not rejected.
    pub(super) fn transceiver_at(&self, sections: &[Section], index: usize) -> Option<&Transceiver> {
        let section = sections.get(index)?;
        match section.kind {
            SectionKind::Media(id) if self.is_live(Some(section)) => self.transceiver(id),
            SectionKind::Media(_)
            | SectionKind::Refused(_)
            | SectionKind::Data
            | SectionKind::Rejected(_) => None,
        }
    }

    /// W3C WebRTC 1.0 §5.1, `addTransceiver`.
    pub(crate) fn add_transceiver(
        &mut self,
        kind: MediaKind,
        init: TransceiverInit,
        seed: &Secret<32>,
    ) -> Result<TransceiverId, TransceiverError> {
        let TransceiverInit { direction, streams, mut send_encodings, has_track } = init;
        let streams = distinct_streams(streams)?;
        check_encodings(kind, &mut send_encodings)?;
        scale_layers(kind, &mut send_encodings);
        // W3C WebRTC 1.0 §5.1: a name tells it from others.
        if let [lone] = send_encodings.as_mut_slice() {
            lone.rid = None;
        }
        let mut rids = BTreeSet::new();
        let is_several = send_encodings.len() > 1;
        for encoding in &send_encodings {
            match encoding.rid {
                Some(rid) if !rids.insert(rid) => return Err(TransceiverError::Encodings),
                None if is_several => return Err(TransceiverError::Encodings),
                Some(_) | None => {}
            }
        }
        // W3C WebRTC 1.0 §5.1: there is no simulcast of audio.
        if send_encodings.len() > MAX_ENCODINGS || (is_several && kind == MediaKind::Audio) {
            return Err(TransceiverError::Encodings);
        }
        let id = self.make_transceiver(kind, direction, seed);
        let wanted = if send_encodings.is_empty() { vec![SendEncoding::default()] } else { send_encodings };
        self.set_encodings(id, wanted, seed);
        if let Some(transceiver) = self.transceiver_mut(id) {
            transceiver.streams = streams;
            transceiver.has_track = has_track;
        }
        Ok(id)
    }

    /// W3C WebRTC 1.0 §5.1, `addTrack`: takes a transceiver that has nothing to send and never had, or makes one.
    pub(crate) fn add_track(
        &mut self,
        kind: MediaKind,
        streams: Vec<String>,
        seed: &Secret<32>,
    ) -> Result<TransceiverId, TransceiverError> {
        let streams = distinct_streams(streams)?;
        let is_free =
            |it: &&mut Transceiver| it.kind == kind && !it.has_track && !it.has_sent && !it.is_stopping;
        if let Some(transceiver) = self.transceivers.iter_mut().find(is_free) {
            transceiver.has_track = true;
            transceiver.by_track = true;
            transceiver.streams = streams;
            transceiver.direction = Direction::of(true, transceiver.direction.receives());
            return Ok(transceiver.id);
        }
        let id =
            self.add_transceiver(kind, TransceiverInit { streams, ..TransceiverInit::default() }, seed)?;
        if let Some(transceiver) = self.transceiver_mut(id) {
            transceiver.by_track = true;
        }
        Ok(id)
    }

    /// Begins to stop a transceiver; one that no section is for is gone at once (W3C WebRTC 1.0 §5.4, `stop`).
    pub(crate) fn stop(&mut self, id: TransceiverId) {
        let Some(transceiver) = self.transceiver_mut(id) else { return };
        transceiver.is_stopping = true;
        transceiver.direction = Direction::Inactive;
        self.forget_idle();
    }

    pub(crate) fn set_preferences(
        &mut self,
        id: TransceiverId,
        codecs: Vec<Codec>,
        known: &[Codec],
    ) -> Result<(), TransceiverError> {
        let transceiver = self.transceiver_mut(id).ok_or(TransceiverError::Stopped)?;
        // W3C WebRTC 1.0 §5.4, `setCodecPreferences`: only what there is, once each, and not repair alone.
        let mut chosen: Vec<Codec> = Vec::new();
        for codec in codecs {
            let known =
                known.iter().find(|known| known.kind == transceiver.kind && known.is_spelt_as(&codec));
            let known = known.ok_or(TransceiverError::UnknownCodec)?;
            if !chosen.contains(known) {
                chosen.push(known.clone());
            }
        }
        if !chosen.is_empty() && chosen.iter().all(|codec| helps_others(&codec.name)) {
            return Err(TransceiverError::UnknownCodec);
        }
        transceiver.preferences = chosen;
        Ok(())
    }

    /// The sections of an offer made now (RFC 9429 §5.2.1 and §5.2.2).
    pub(super) fn plan_offer(&self, wants_data: bool) -> Vec<Section> {
        let is_offered = self.state == crate::SignalingState::HaveLocalOffer;
        let mut plan = if is_offered { self.sections.clone() } else { self.agreed.clone() };
        let waiting =
            self.transceivers.iter().filter(|it| it.association.section.is_none() && !it.is_stopping);
        let planned: BTreeSet<TransceiverId> = plan.iter().filter_map(Section::transceiver).collect();
        for transceiver in waiting.filter(|transceiver| !planned.contains(&transceiver.id)) {
            self.add_section(&mut plan, SectionKind::Media(transceiver.id));
        }
        if wants_data && !plan.iter().any(|section| section.kind == SectionKind::Data) {
            self.add_section(&mut plan, SectionKind::Data);
        }
        plan
    }

    /// RFC 9429 §5.2.2: a section that was rejected is used again.
    fn add_section(&self, plan: &mut Vec<Section>, kind: SectionKind) {
        let section = Section::new(Some(self.unused_mid(plan)), kind);
        let free = plan.iter_mut().enumerate().find(|(index, section)| {
            let is_agreed = self.agreed.get(*index).is_some_and(Section::is_rejected);
            section.is_rejected() && is_agreed
        });
        match free {
            Some((_, slot)) => *slot = section,
            None => plan.push(section),
        }
    }

    /// Our offer was set: its sections are those of their transceivers (RFC 9429 §5.9).
    pub(super) fn associate_offered(&mut self) {
        for index in 0..self.sections.len() {
            let Some(section) = self.sections.get(index) else { break };
            let (mid, Some(id)) = (section.mid.clone(), section.transceiver()) else { continue };
            if let Some(transceiver) = self.transceiver_mut(id) {
                transceiver.association.mid = mid;
                transceiver.association.section = Some(index);
            }
        }
    }

    /// Our answer was set (RFC 9429 §5.11, W3C WebRTC 1.0 §4.4.1.5).
    pub(super) fn apply_local_answer(&mut self, is_final: bool, context: MediaContext<'_>) {
        let Some(((_, answer), (_, offer))) = self.local.pending.take().zip(self.remote.pending.take())
        else {
            return;
        };
        for (local, remote) in answer.media().zip(offer.media()) {
            let is_rejected = local.is_rejected();
            self.apply_answer(&local, &remote, is_rejected, is_final, context);
            // What is held keeps its streams for later.
            if !is_rejected && local.direction().unwrap_or(Direction::SendRecv).sends() {
                self.restrict_encodings(&local, StreamDirection::Send);
            }
        }
        let kind = if is_final { crate::SdpType::Answer } else { crate::SdpType::Pranswer };
        self.local.pending = Some((kind, answer));
        self.remote.pending = Some((crate::SdpType::Offer, offer));
    }

    /// The peer's answer was set.
    pub(super) fn apply_remote_answer(
        &mut self,
        answer: &SessionDescription,
        choice: &Choice,
        is_final: bool,
        context: MediaContext<'_>,
    ) {
        let Some((kind, offer)) = self.local.pending.take() else { return };
        for (local, remote) in offer.media().zip(answer.media()) {
            let is_rejected = remote.is_rejected();
            self.apply_answer(&local, &remote, is_rejected, is_final, context);
            let place = choice.place_of(local.index());
            if let (Some(section), true) = (self.sections.get_mut(local.index()), is_final) {
                (section.transport, section.is_tag, section.is_bundled) = place;
            }
            // What a provisional answer bundles the final one may leave apart.
            let transceiver = self.sections.get(local.index()).and_then(Section::transceiver);
            if let (Some(transceiver), Some(transport)) =
                (transceiver.and_then(|id| self.transceiver_mut(id)), place.0)
            {
                transceiver.association.transport = transport;
            }
            if !is_rejected {
                self.restrict_encodings(&remote, StreamDirection::Recv);
            }
        }
        self.local.pending = Some((kind, offer));
    }

    /// One section of an answer, ours or the peer's.
    fn apply_answer(
        &mut self,
        local: &Media<'_>,
        remote: &Media<'_>,
        is_rejected: bool,
        is_final: bool,
        context: MediaContext<'_>,
    ) {
        let index = local.index();
        let Some(section) = self.sections.get_mut(index) else { return };
        let (id, transport) = (section.transceiver(), section.transport);
        if is_rejected {
            if is_final {
                if !section.is_rejected() {
                    section.kind = rejected(local);
                }
                (section.transport, section.is_tag, section.is_bundled) = (None, false, false);
                id.into_iter().for_each(|id| self.forget(id));
            }
            return;
        }
        let Some(id) = id else { return };
        let ours = local.direction().unwrap_or(Direction::SendRecv);
        let theirs = remote.direction().unwrap_or(Direction::SendRecv).reversed();
        let direction = ours.and(theirs);
        let negotiated = Negotiated::of(context.config, local, remote, context.max_sources);
        self.avoid(&negotiated.remote_sources, context.seed);
        let Some(transceiver) = self.transceiver_mut(id) else { return };
        transceiver.has_sent |= direction.sends();
        if is_final {
            transceiver.forget_layers_that_none_has(&negotiated);
        }
        let joins = direction.receives() && transceiver.set_remote_streams(streams_of(remote));
        if direction.receives() {
            transceiver.association.remote_track = track_of(remote);
        }
        transceiver.association.transport = transport.unwrap_or_default();
        transceiver.association.current = Some(direction);
        transceiver.fire(direction, joins);
        transceiver.association.negotiated = Some(Arc::new(negotiated));
    }

    /// The peer's offer was set: its sections are associated with transceivers that exist, or with new ones
    /// (RFC 9429 §5.10).
    pub(super) fn apply_remote_offer(
        &mut self,
        offer: &SessionDescription,
        choice: &Choice,
        replaced: &Replaced,
        context: MediaContext<'_>,
    ) {
        let seed = context.seed;
        self.sections = Vec::with_capacity(offer.media().len());
        for media in offer.media() {
            let index = media.index();
            let agreed = self.agreed.get(index);
            let mid =
                media.mid().map(str::to_owned).or_else(|| agreed.and_then(|section| section.mid.clone()));
            let known = agreed.and_then(Section::transceiver).filter(|id| self.transceiver(*id).is_some());
            let is_accepted = choice.accepted.get(index) == Some(&true);
            let kind = match (known, kind_of(&media)) {
                (_, None) if is_accepted => SectionKind::Data,
                (Some(id), Some(_)) => {
                    self.take_offered(id, &media, &mid, is_accepted, seed);
                    if is_accepted { SectionKind::Media(id) } else { SectionKind::Refused(id) }
                }
                (None, Some(kind)) if is_accepted => {
                    let kept = self.take_replaced(replaced, (kind, &mid), &media, seed);
                    let id = kept.unwrap_or_else(|| self.associate(kind, &media, seed));
                    self.take_offered(id, &media, &mid, true, seed);
                    SectionKind::Media(id)
                }
                (_, _) => rejected(&media),
            };
            let (transport, is_tag, is_bundled) = choice.place_of(index);
            self.sections.push(Section { mid, kind, transport, is_tag, is_bundled });
        }
        self.forget_replaced(replaced);
    }

    /// What a further offer of the peer's finds of one that is not answered.
    pub(crate) fn replaced(&self) -> Replaced {
        if self.state != crate::SignalingState::HaveRemoteOffer {
            return Replaced::default();
        }
        let made = self.before.iter().flat_map(|before| &before.made);
        let made = made.filter_map(|id| Some((self.transceiver(*id)?.association.mid.clone(), *id)));
        let is_told = |it: &&Transceiver| {
            it.association.fired.is_some_and(Direction::receives) && it.news == TrackNews::None
        };
        let told = self.transceivers.iter().filter(is_told);
        let told = told.map(|it| (it.id, it.association.remote_streams.clone()));
        Replaced { made: made.collect(), told: told.collect() }
    }

    /// RFC 9429 §5.10: a section stays that of the transceiver which an earlier offer made for it.
    fn take_replaced(
        &mut self,
        replaced: &Replaced,
        (kind, mid): (MediaKind, &Option<String>),
        media: &Media<'_>,
        seed: &Secret<32>,
    ) -> Option<TransceiverId> {
        let is_it = |(name, id): &&(Option<String>, TransceiverId)| {
            let waits = |it: &Transceiver| it.kind == kind && it.association.section.is_none();
            name.is_some() && name == mid && self.transceiver(*id).is_some_and(waits)
        };
        let (_, id) = replaced.made.iter().find(is_it)?;
        self.before.iter_mut().for_each(|before| before.made.push(*id));
        let named = self.transceiver(*id).into_iter().flat_map(|it| &it.association.encodings);
        let named: Vec<Rid> = named.filter_map(|encoding| encoding.wanted.rid).collect();
        // Layers have names only where the earlier offer has asked for them.
        if !named.is_empty() && named != simulcast(media, StreamDirection::Recv) {
            self.set_encodings(*id, vec![SendEncoding::default()], seed);
        }
        Some(*id)
    }

    /// What the further offer has left of an earlier one: transceivers that it has no section for are gone, and tracks that
    /// are as they were have neither gone nor come.
    fn forget_replaced(&mut self, replaced: &Replaced) {
        for (_, id) in &replaced.made {
            let is_left = |it: &Transceiver| it.association.section.is_none() && !it.by_track;
            if self.transceiver(*id).is_some_and(is_left) {
                self.forget(*id);
            }
        }
        for (id, streams) in &replaced.told {
            let Some(transceiver) = self.transceiver_mut(*id) else { continue };
            let is_repeated = matches!(transceiver.news, TrackNews::Returned | TrackNews::Joined);
            if is_repeated && transceiver.association.remote_streams == *streams {
                transceiver.news = TrackNews::None;
            }
        }
    }

    /// The transceivers that no section is for once an offer that is under way is taken back.
    pub(super) fn waiting(&self) -> Vec<TransceiverId> {
        let associations = self.before.iter().flat_map(|before| &before.associations);
        let before: BTreeMap<TransceiverId, Option<usize>> =
            associations.map(|(id, association)| (*id, association.section)).collect();
        let section = |it: &Transceiver| match &self.before {
            Some(_) => before.get(&it.id).copied().flatten(),
            None => it.association.section,
        };
        self.transceivers.iter().filter(|it| section(it).is_none()).map(|it| it.id).collect()
    }

    /// The first transceiver by `add_track` that waits for a section, where the peer receives; or else a new one.
    fn associate(&mut self, kind: MediaKind, media: &Media<'_>, seed: &Secret<32>) -> TransceiverId {
        let mut waiting = self.transceivers.iter().filter(|it| it.association.section.is_none());
        if let Some(waiting) = waiting.find(|it| it.may_take(media)) {
            return waiting.id;
        }
        let id = self.make_transceiver(kind, Direction::RecvOnly, seed);
        self.set_encodings(id, vec![SendEncoding::default()], seed);
        if let Some(before) = &mut self.before {
            before.made.push(id);
        }
        id
    }

    fn take_offered(
        &mut self,
        id: TransceiverId,
        media: &Media<'_>,
        mid: &Option<String>,
        is_accepted: bool,
        seed: &Secret<32>,
    ) {
        let theirs = media.direction().unwrap_or(Direction::SendRecv).reversed();
        let direction = if is_accepted { theirs } else { Direction::Inactive };
        let wanted = simulcast(media, StreamDirection::Recv);
        let Some(transceiver) = self.transceiver_mut(id) else { return };
        transceiver.association.mid.clone_from(mid);
        transceiver.association.section = Some(media.index());
        let joins = direction.receives() && transceiver.set_remote_streams(streams_of(media));
        if direction.receives() {
            transceiver.association.remote_track = track_of(media);
        }
        transceiver.fire(direction, joins);
        // W3C WebRTC 1.0 §4.4.1.5: the peer names the streams that it wants, where we have named none.
        let is_plain = transceiver.association.encodings.iter().all(|encoding| encoding.wanted.rid.is_none());
        if is_plain && transceiver.association.current.is_none() && !wanted.is_empty() {
            let named = |rid: Rid| SendEncoding { rid: Some(rid), ..SendEncoding::default() };
            let mut wanted: Vec<SendEncoding> = wanted.into_iter().map(named).collect();
            scale_layers(transceiver.kind, &mut wanted);
            self.set_encodings(id, wanted, seed);
        }
    }

    /// RFC 9429 §3.7, RFC 8853 §5.3: what the answer, ours or the peer's, does not have of our simulcast is not sent.
    fn restrict_encodings(&mut self, answer: &Media<'_>, direction: StreamDirection) {
        let taken = simulcast(answer, direction);
        let Some(id) = self.sections.get(answer.index()).and_then(Section::transceiver) else { return };
        let Some(transceiver) = self.transceiver_mut(id) else { return };
        let encodings = &mut transceiver.association.encodings;
        if encodings.iter().all(|encoding| encoding.wanted.rid.is_none()) {
            return;
        }
        if taken.is_empty() {
            encodings.truncate(1);
            encodings.iter_mut().for_each(|encoding| encoding.wanted.rid = None);
        } else {
            encodings.retain(|encoding| encoding.wanted.rid.is_some_and(|rid| taken.contains(&rid)));
        }
    }

    /// Leaves `stable`: what is restored by a rollback is remembered.
    pub(super) fn remember(&mut self) {
        let associations = self.transceivers.iter().map(|it| (it.id, it.association.clone())).collect();
        self.before = Some(Box::new(Before { associations, made: Vec::new() }));
    }

    /// RFC 9429 §5.7: transceivers are as they were, and those that the offer made are gone, but for those that were taken
    /// for a track since.
    pub(super) fn restore(&mut self, replaced: &Replaced) {
        let Some(before) = self.before.take() else { return };
        let Before { mut associations, made } = *before;
        for id in made.into_iter().filter(|id| replaced.made.iter().all(|(_, kept)| kept != id)) {
            if self.transceiver(id).is_some_and(|transceiver| !transceiver.by_track) {
                self.forget(id);
            }
        }
        for transceiver in &mut self.transceivers {
            let known = associations.iter().position(|(id, _)| *id == transceiver.id);
            let former = match known {
                Some(place) => associations.swap_remove(place).1,
                // Made since, by us or by the offer: it has no section.
                None => Association {
                    encodings: std::mem::take(&mut transceiver.association.encodings),
                    ..Association::default()
                },
            };
            let joins = transceiver.joins(&former.remote_streams);
            transceiver.fire(former.fired.unwrap_or(Direction::Inactive), joins);
            transceiver.association = former;
        }
    }

    /// Stopped transceivers that no section is for any more are gone.
    pub(super) fn forget_idle(&mut self) {
        let is_idle =
            |it: &&Transceiver| it.is_stopping && it.association.section.is_none() && !self.is_planned(it.id);
        let idle: Vec<TransceiverId> = self.transceivers.iter().filter(is_idle).map(|it| it.id).collect();
        idle.into_iter().for_each(|id| self.forget(id));
    }

    /// Encodings with SSRCs of their own.
    pub(super) fn set_encodings(&mut self, id: TransceiverId, wanted: Vec<SendEncoding>, seed: &Secret<32>) {
        let mut rng = Rng::new(self.seed_of("encodings", seed));
        let mut made: Vec<Encoding> = Vec::with_capacity(wanted.len());
        let kind = self.transceiver(id).map(|transceiver| transceiver.kind);
        for mut wanted in wanted {
            kind.into_iter().for_each(|kind| wanted.complete(kind));
            let ssrc = self.unused_ssrc(&mut rng, &made);
            made.push(Encoding { wanted, ssrc, rtx: ssrc });
            let rtx = self.unused_ssrc(&mut rng, &made);
            made.iter_mut().rev().take(1).for_each(|encoding| encoding.rtx = rtx);
        }
        if let Some(transceiver) = self.transceiver_mut(id) {
            transceiver.association.encodings = made;
        }
    }

    /// RFC 3550 §8.2: SSRCs of ours that the peer has, too, are drawn anew. Gives whose they were.
    pub(crate) fn avoid(
        &mut self,
        theirs: &[(Ssrc, Option<Ssrc>)],
        seed: &Secret<32>,
    ) -> Option<TransceiverId> {
        let is_theirs = |ours: Ssrc| theirs.iter().any(|(ssrc, rtx)| *ssrc == ours || *rtx == Some(ours));
        let collides = |it: &Transceiver| it.ssrcs().any(is_theirs);
        let id = self.transceivers.iter().find(|it| collides(it))?.id;
        let ids: Vec<_> = self.transceivers.iter().filter(|it| collides(it)).map(|it| it.id).collect();
        for id in ids {
            let encodings = self.transceiver(id).map(|it| it.association.encodings.clone());
            let wanted = encodings.unwrap_or_default().into_iter().map(|encoding| encoding.wanted).collect();
            self.set_encodings(id, wanted, seed);
        }
        Some(id)
    }

    /// What each description of ours names us by (RFC 7022 §5: random, and new for each session).
    pub(crate) fn cname(seed: &Secret<32>) -> String {
        let bytes: [u8; 12] = Rng::new(derive_seed(seed.expose(), "cname")).array();
        hexadecimal(&bytes)
    }

    pub(super) fn make_transceiver(
        &mut self,
        kind: MediaKind,
        direction: Direction,
        seed: &Secret<32>,
    ) -> TransceiverId {
        let track: [u8; 8] = Rng::new(self.seed_of("track", seed)).array();
        let id = TransceiverId(self.draws);
        self.transceivers.push(Transceiver {
            id,
            kind,
            direction,
            by_track: false,
            has_track: false,
            has_sent: false,
            is_stopping: false,
            preferences: Vec::new(),
            streams: Vec::new(),
            track: hexadecimal(&track),
            association: Association::default(),
            news: TrackNews::None,
            extras: None,
            kept: None,
            transaction: Transaction::default(),
        });
        id
    }

    /// A seed that nothing else has been drawn from.
    fn seed_of(&mut self, what: &str, seed: &Secret<32>) -> [u8; 32] {
        self.draws = self.draws.wrapping_add(1);
        derive_seed(seed.expose(), &format!("{what} {}", self.draws))
    }

    fn unused_ssrc(&self, rng: &mut Rng, made: &[Encoding]) -> Ssrc {
        let is_taken = |ssrc: Ssrc| {
            made.iter().any(|it| it.ssrc == ssrc || it.rtx == ssrc)
                || self.transceivers.iter().any(|it| {
                    let negotiated = it.association.negotiated.as_ref();
                    it.ssrcs().any(|ours| ours == ssrc)
                        || negotiated.is_some_and(|negotiated| {
                            let mut theirs = negotiated.remote_sources.iter();
                            theirs.any(|(source, rtx)| *source == ssrc || *rtx == Some(ssrc))
                        })
                })
        };
        loop {
            let ssrc = Ssrc(rng.u32());
            if ssrc.0 != 0 && !is_taken(ssrc) {
                return ssrc;
            }
        }
    }

    /// A transceiver is stopped for good.
    pub(super) fn forget(&mut self, id: TransceiverId) {
        let Some(place) = self.transceivers.iter().position(|it| it.id == id) else { return };
        let transceiver = self.transceivers.remove(place);
        let is_known = transceiver.association.fired.is_some_and(Direction::receives)
            && transceiver.news != TrackNews::Came
            || matches!(transceiver.news, TrackNews::Went | TrackNews::Returned);
        if is_known {
            let stopped = &mut self.stopped.get_or_insert_default().0;
            if stopped.len() >= MAX_STOPPED {
                stopped.pop_front();
            }
            stopped.push_back(id);
        }
    }

    /// Whether an offer that is under way has a section for it, or one that can be set.
    fn is_planned(&self, id: TransceiverId) -> bool {
        let created = self.created.iter().flat_map(|created| &created.plan);
        self.sections.iter().chain(created).any(|section| section.transceiver() == Some(id))
    }

    /// RFC 9429 §5.2.1: a short name that no section has yet.
    fn unused_mid(&self, plan: &[Section]) -> String {
        let taken: BTreeSet<&str> =
            plan.iter().chain(&self.agreed).filter_map(|section| section.mid.as_deref()).collect();
        let numbers = (0..).map(|number: u32| number.to_string());
        numbers.into_iter().find(|name| !taken.contains(name.as_str())).unwrap_or_default()
    }
}

impl Transceiver {
    /// Whether a section that is offered may become its own, if it has none.
    pub(super) fn may_take(&self, media: &Media<'_>) -> bool {
        let receives = media.direction().unwrap_or(Direction::SendRecv).receives();
        receives && self.by_track && !self.is_stopping && kind_of(media) == Some(self.kind)
    }
}

impl Section {
    /// One that is new: it has no transport yet.
    const fn new(mid: Option<String>, kind: SectionKind) -> Self {
        Self { mid, kind, transport: None, is_tag: false, is_bundled: false }
    }

    pub(super) const fn transceiver(&self) -> Option<TransceiverId> {
        match self.kind {
            SectionKind::Media(id) | SectionKind::Refused(id) => Some(id),
            SectionKind::Data | SectionKind::Rejected(_) => None,
        }
    }

    pub(super) const fn is_rejected(&self) -> bool {
        matches!(self.kind, SectionKind::Rejected(_))
    }
}

/// Streams that are named more than once count once (W3C WebRTC 1.0 §5.2, `setStreams`).
pub(crate) fn distinct_streams(mut streams: Vec<String>) -> Result<Vec<String>, TransceiverError> {
    let mut seen = BTreeSet::new();
    streams.retain(|name| seen.insert(name.clone()));
    check_streams(&streams)?;
    Ok(streams)
}

/// RFC 8830 §2: names of streams are tokens of at most 64 characters.
pub(crate) fn check_streams(streams: &[String]) -> Result<(), TransceiverError> {
    let is_name = |name: &String| {
        let is_token = sdp::Attribute::parse(&format!("mid:{name}")).is_ok();
        is_token && name.len() <= 64 && name != "-"
    };
    let mut seen = BTreeSet::new();
    let all_good = streams.iter().all(|name| is_name(name) && seen.insert(name));
    if all_good && streams.len() <= MAX_STREAMS { Ok(()) } else { Err(TransceiverError::Streams) }
}

fn streams_of(media: &Media<'_>) -> Vec<String> {
    let mut streams: Vec<String> = Vec::new();
    for stream in media.msids().filter_map(|msid| msid.stream()).take(MAX_STREAMS) {
        if !streams.iter().any(|known| known == stream) {
            streams.push(stream.to_owned());
        }
    }
    streams.shrink_to_fit();
    streams
}

fn track_of(media: &Media<'_>) -> Option<String> {
    media.msids().find_map(|msid| msid.track).map(str::to_owned)
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Streams that one source is sent as.
const MAX_ENCODINGS: usize = 16;
/// Streams (of RFC 8830) that a track belongs to.
const MAX_STREAMS: usize = 16;
/// Stopped transceivers that wait to be told of.
const MAX_STOPPED: usize = 256;
