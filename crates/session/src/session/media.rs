//! Transceivers: what a session does of W3C WebRTC 1.0 §5.

mod parameters;

pub use parameters::{ReceiveParameters, RtcpParameters, SendParameters};

use crypto::Secret;
use proto::Instant;
use sdp::Direction;

use super::{Ending, Session};
use crate::media::encoding::check_scalability;
use crate::media::transceiver::TrackNews;
use crate::media::{Codec, MediaConfig, MediaKind, TransceiverId, TransceiverInfo, TransceiverInit};
use crate::negotiation::MediaContext;
use crate::{Event, ExtensionKind, TransceiverError};

impl Session {
    /// Makes a transceiver, which the next offer has a section for (W3C WebRTC 1.0 §5.1, `addTransceiver`). Unlike one
    /// of [`add_track`](Self::add_track) it is never taken for a section of the peer's.
    ///
    /// # Errors
    ///
    /// What of `init` does not go together, or why none can be made.
    pub fn add_transceiver(
        &mut self,
        now: Instant,
        kind: MediaKind,
        init: TransceiverInit,
    ) -> Result<TransceiverId, TransceiverError> {
        self.advance(now);
        self.may_make_transceiver()?;
        if kind == MediaKind::Video {
            let codecs = media_config(&self.config).codecs(kind).map(|codec| codec.name.as_ref());
            check_scalability(&init.send_encodings, codecs)?;
        }
        let id = self.negotiation.add_transceiver(kind, init, &self.seed)?;
        self.ask_for_offer();
        Ok(id)
    }

    /// Has something to send, which belongs to these streams (W3C WebRTC 1.0 §5.1, `addTrack`): by a transceiver that
    /// has nothing to send and never had, or by a new one, which may become that of a section that the peer offers.
    ///
    /// # Errors
    ///
    /// The names are none, or why none can be made.
    pub fn add_track(
        &mut self,
        now: Instant,
        kind: MediaKind,
        streams: Vec<String>,
    ) -> Result<TransceiverId, TransceiverError> {
        self.advance(now);
        self.may_make_transceiver()?;
        let id = self.negotiation.add_track(kind, streams, &self.seed)?;
        self.ask_for_offer();
        Ok(id)
    }

    /// Has nothing to send any more by this transceiver, which goes on receiving (W3C WebRTC 1.0 §5.1, `removeTrack`).
    ///
    /// # Errors
    ///
    /// It is stopped, or the session is closed.
    pub fn remove_track(&mut self, now: Instant, id: TransceiverId) -> Result<(), TransceiverError> {
        self.change(now, id, |transceiver| {
            transceiver.has_track = false;
            transceiver.direction = Direction::of(false, transceiver.direction.receives());
        })
    }

    /// Wants another direction, which the next exchange of descriptions agrees upon (W3C WebRTC 1.0 §5.4).
    ///
    /// # Errors
    ///
    /// It is stopped, or the session is closed.
    pub fn set_direction(
        &mut self,
        now: Instant,
        id: TransceiverId,
        direction: Direction,
    ) -> Result<(), TransceiverError> {
        self.change(now, id, |transceiver| transceiver.direction = direction)
    }

    /// Says to which streams what is sent belongs (W3C WebRTC 1.0 §5.2, `setStreams`).
    ///
    /// # Errors
    ///
    /// It is stopped, the session is closed, or the names are none.
    pub fn set_streams(
        &mut self,
        now: Instant,
        id: TransceiverId,
        streams: Vec<String>,
    ) -> Result<(), TransceiverError> {
        let streams = crate::negotiation::distinct_streams(streams)?;
        self.change(now, id, |transceiver| transceiver.streams = streams)
    }

    /// Stops a transceiver for good; the next exchange of descriptions completes that (W3C WebRTC 1.0 §5.4, `stop`). One that is
    /// stopped stays so.
    ///
    /// # Errors
    ///
    /// The session is closed.
    pub fn stop_transceiver(&mut self, now: Instant, id: TransceiverId) -> Result<(), TransceiverError> {
        self.advance(now);
        self.may_change()?;
        self.negotiation.stop(id);
        self.follow_media();
        self.ask_for_offer();
        Ok(())
    }

    /// Which codecs the next descriptions have for this transceiver, in this order; none for those of the configuration
    /// (W3C WebRTC 1.0 §5.4, `setCodecPreferences`).
    ///
    /// # Errors
    ///
    /// It is stopped, a codec is none of the configuration's, or all of them are there only beside others.
    pub fn set_codec_preferences(
        &mut self,
        id: TransceiverId,
        codecs: Vec<Codec>,
    ) -> Result<(), TransceiverError> {
        let known = media_config(&self.config).codecs.clone();
        self.negotiation.set_preferences(id, codecs, &known)
    }

    /// Which header extensions the next descriptions have for this transceiver, of those of the configuration (W3C's
    /// `setHeaderExtensionsToNegotiate`). What was agreed upon is [`Negotiated::extensions`](crate::Negotiated::extensions).
    ///
    /// # Errors
    ///
    /// It is stopped, one is none of the configuration's, or the name of the section is left out.
    pub fn set_header_extensions(
        &mut self,
        id: TransceiverId,
        wanted: Vec<ExtensionKind>,
    ) -> Result<(), TransceiverError> {
        let config = media_config(&self.config);
        let transceiver = self.negotiation.transceiver_mut(id).filter(|transceiver| !transceiver.is_stopping);
        let transceiver = transceiver.ok_or(TransceiverError::Stopped)?;
        let known: Vec<ExtensionKind> =
            config.extensions(transceiver.kind).map(|extension| extension.kind).collect();
        let names_section = !known.contains(&ExtensionKind::Mid) || wanted.contains(&ExtensionKind::Mid);
        if !names_section || !wanted.iter().all(|kind| known.contains(kind)) {
            return Err(TransceiverError::HeaderExtensions);
        }
        let is_all = known.iter().all(|kind| wanted.contains(kind));
        let wanted = known.into_iter().filter(|kind| wanted.contains(kind));
        transceiver.extras_mut().extensions = (!is_all).then(|| wanted.collect());
        Ok(())
    }

    /// The header extensions that the next descriptions have for this transceiver (`getHeaderExtensionsToNegotiate`).
    ///
    /// # Errors
    ///
    /// It is stopped.
    pub fn header_extensions(&self, id: TransceiverId) -> Result<Vec<ExtensionKind>, TransceiverError> {
        let transceiver = self.negotiation.transceiver(id).ok_or(TransceiverError::Stopped)?;
        Ok(transceiver.header_extensions(media_config(&self.config)).collect())
    }

    /// What is known of a transceiver; `None` once it is stopped.
    pub fn transceiver(&self, id: TransceiverId) -> Option<TransceiverInfo<'_>> {
        self.negotiation.transceiver(id).map(crate::media::transceiver::Transceiver::info)
    }

    /// The transceivers, in the order in which they were made.
    pub fn transceivers(&self) -> impl Iterator<Item = (TransceiverId, TransceiverInfo<'_>)> {
        self.negotiation.transceivers.iter().map(|transceiver| (transceiver.id, transceiver.info()))
    }

    /// The codecs and header extensions that are spoken here.
    pub fn media_config(&self) -> &MediaConfig {
        media_config(&self.config)
    }

    pub(super) fn poll_track(&mut self) -> Option<Event> {
        let untold = self.negotiation.transceivers.iter_mut().find(|it| it.news != TrackNews::None);
        if let Some(transceiver) = untold {
            let id = transceiver.id;
            return match std::mem::take(&mut transceiver.news) {
                TrackNews::Came | TrackNews::Joined => Some(Event::Track(id)),
                TrackNews::Returned => {
                    transceiver.news = TrackNews::Came;
                    Some(Event::TrackRemoved(id))
                }
                TrackNews::Went | TrackNews::None => Some(Event::TrackRemoved(id)),
            };
        }
        let stopped = &mut self.negotiation.stopped.as_mut()?.0;
        let id = stopped.pop_front();
        if stopped.is_empty() {
            self.negotiation.stopped = None;
        }
        id.map(Event::TrackRemoved)
    }

    pub(super) fn media_context<'a>(config: &'a crate::Config, seed: &'a Secret<32>) -> MediaContext<'a> {
        MediaContext { config: media_config(config), max_sources: config.limits.max_remote_sources, seed }
    }

    fn change(
        &mut self,
        now: Instant,
        id: TransceiverId,
        change: impl FnOnce(&mut crate::media::transceiver::Transceiver),
    ) -> Result<(), TransceiverError> {
        self.advance(now);
        self.may_change()?;
        // Their parameters say all of this.
        if self.is_without_sdp {
            return Err(TransceiverError::WithoutSdp);
        }
        let transceiver = self.negotiation.transceiver_mut(id).filter(|transceiver| !transceiver.is_stopping);
        change(transceiver.ok_or(TransceiverError::Stopped)?);
        self.ask_for_offer();
        Ok(())
    }

    /// Nothing is changed of what is over.
    fn may_change(&self) -> Result<(), TransceiverError> {
        if self.ending == Ending::No { Ok(()) } else { Err(TransceiverError::Closed) }
    }

    fn may_make_transceiver(&self) -> Result<(), TransceiverError> {
        self.may_change()?;
        if self.is_without_sdp {
            return Err(TransceiverError::WithoutSdp);
        }
        let is_full = self.negotiation.transceivers.len() >= self.config.limits.max_transceivers;
        if is_full { Err(TransceiverError::TooMany) } else { Ok(()) }
    }
}

pub(super) fn media_config(config: &crate::Config) -> &MediaConfig {
    match &config.media {
        Some(media) => media,
        None => MediaConfig::shared(),
    }
}
