//! What a connection is at, and its figures.

use std::sync::Arc;
use std::task::Poll;

use session::{
    ConnectionState, GatheringState, IceState, Report, RtpStats, SignalingState, Stats, StatsReport,
};

use super::PeerConnection;
use crate::Error;
use crate::waiting::wait_at;

impl PeerConnection {
    /// Figures of all media, and what the path is thought to carry, in bit/s; `None` before media are agreed upon.
    pub fn rtp_stats(&self) -> Option<(RtpStats, Option<u64>)> {
        self.handle.with(|core| core.session.rtp_stats())
    }

    /// The certificate that the peer has shown and proved to own, DER; `None` before DTLS is up.
    pub fn peer_certificate(&self) -> Option<Vec<u8>> {
        self.handle.with(|core| core.session.peer_certificate().map(<[u8]>::to_vec))
    }

    /// The state of the connection as a whole.
    pub fn connection_state(&self) -> ConnectionState {
        self.handle.with(|core| core.session.connection_state())
    }

    /// Waits until the connection is there. Candidates are told by [`Events`](crate::Events) meanwhile.
    ///
    /// Cancel safe.
    ///
    /// # Errors
    ///
    /// It has [failed](Error::Failed), which [`report`](Self::report) has more about, or was closed.
    pub async fn connected(&self) -> Result<(), Error> {
        wait_at(
            Arc::downgrade(self.handle.connection()),
            |core| Some(&mut core.connectors),
            |cx| {
                self.handle.with(|core| match core.session.connection_state() {
                    ConnectionState::Connected => Poll::Ready(Ok(())),
                    ConnectionState::Failed(failure) => Poll::Ready(Err(Error::Failed(failure))),
                    ConnectionState::Closed => Poll::Ready(Err(Error::ConnectionClosed)),
                    ConnectionState::New | ConnectionState::Connecting | ConnectionState::Disconnected => {
                        core.connectors.wait(cx)
                    }
                })
            },
        )
        .await
    }

    /// The state of ICE, of all transports together.
    pub fn ice_connection_state(&self) -> IceState {
        self.handle.with(|core| core.session.ice_state())
    }

    /// The state of gathering, of all transports together.
    pub fn ice_gathering_state(&self) -> GatheringState {
        self.handle.with(|core| core.session.gathering_state())
    }

    /// Whether the peer takes candidates that are found later; `None` before it has said (`canTrickleIceCandidates`).
    pub fn can_trickle_ice_candidates(&self) -> Option<bool> {
        self.handle.with(|core| core.session.can_trickle())
    }

    /// The state of the exchange of descriptions.
    pub fn signaling_state(&self) -> SignalingState {
        self.handle.with(|core| core.session.signaling_state())
    }

    /// Figures of the connection.
    pub fn stats(&self) -> Stats {
        let now = self.handle.now();
        self.handle.with(|core| core.session.stats(now))
    }

    /// The statistics of W3C, by ids that stay the same (`getStats`).
    pub fn get_stats(&self) -> StatsReport {
        let now = self.handle.now();
        self.handle.with(|core| core.session.statistics(now))
    }

    /// Why it is connected or not: candidates, checks, errors, and what to try. It prints as a page.
    pub fn report(&self) -> Report {
        let now = self.handle.now();
        let mut report = self.handle.with(|core| core.session.report(now));
        report.interfaces = self.handle.interfaces();
        report
    }
}
