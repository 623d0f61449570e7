//! Keys that are pressed (W3C WebRTC 1.0 §7).

use std::time::Duration;

use proto::Instant;

use crate::media::TransceiverId;
use crate::{ConnectionState, DtmfError, Session};

impl Session {
    /// Whether tones can be sent by a transceiver (W3C WebRTC 1.0 §7.2, `canInsertDTMF`): it sends audio, the session is
    /// connected, and the peer takes telephone events with the clock of the codec.
    pub fn can_insert_dtmf(&mut self, id: TransceiverId) -> bool {
        if self.connection_state() != ConnectionState::Connected {
            return false;
        }
        let can_send = self.negotiation.transceiver(id).is_some_and(|transceiver| {
            let direction = transceiver.association.current;
            transceiver.has_track && !transceiver.is_stopping && direction.is_some_and(sdp::Direction::sends)
        });
        can_send && self.sender_mut(id).is_some_and(|sender| sender.can_insert_tones())
    }

    /// Plays tones one after another, in place of those that wait (W3C WebRTC 1.0 §7.2, `insertDTMF`): `0` to `9`, `A` to
    /// `D`, `*`, `#`, and commas for pauses of two seconds. One that is being played is played to its end; none at all:
    /// nothing follows it. A `duration` is 40 ms to 6 s (usual are 100 ms), a `gap` 30 ms to 6 s (usual are 70 ms), and
    /// others are taken for the nearest of these. Frames that are written while a tone is played are left out.
    ///
    /// Each tone that begins is told by [`SenderEvent::Tone`](crate::SenderEvent::Tone), W3C's `tonechange`.
    ///
    /// # Errors
    ///
    /// Why they are not played; what waits is as it was.
    pub fn insert_dtmf(
        &mut self,
        now: Instant,
        id: TransceiverId,
        tones: &str,
        duration: Duration,
        gap: Duration,
    ) -> Result<(), DtmfError> {
        self.advance(now);
        if !self.can_insert_dtmf(id) {
            return Err(DtmfError::NotAllowed);
        }
        let now = self.now;
        let sender = self.sender_mut(id).ok_or(DtmfError::NotAllowed)?;
        sender.insert_tones(now, tones, duration, gap)?;
        self.engine_of(id).into_iter().for_each(|engine| engine.refresh(now));
        Ok(())
    }

    /// The tones that wait (W3C WebRTC 1.0 §7.2, `toneBuffer`).
    pub fn tone_buffer(&mut self, id: TransceiverId) -> String {
        self.sender_mut(id).map(|sender| sender.tones().collect()).unwrap_or_default()
    }
}
