use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use proto::{Instant, Path};

use crate::{
    ConnectionState, Discard, DtlsRole, GatheringState, IceState, Session, SignalingState, TransportId,
    UnusedServer,
};

/// Figures of a session. What is about a path, DTLS or SRTP is about the oldest transport, if there are several; of all of
/// them [`statistics`](Session::statistics) tell.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Stats {
    /// Since the epoch of the caller's clock.
    pub at: Instant,
    /// Where data goes; an address that is hidden behind a `.local` name is 0.0.0.0 or `::` here.
    pub selected_path: Option<Path>,
    /// What the local end of that path is, as the peer sees it: `host`, `srflx`, `prflx`, `relay`.
    pub local_kind: Option<ice::Kind>,
    /// What its remote end is.
    pub remote_kind: Option<ice::Kind>,
    /// Round trip on that path.
    pub round_trip: Option<Duration>,
    /// Which side decides on the path.
    pub ice_role: Option<ice::Role>,
    /// Our role in DTLS.
    pub dtls_role: Option<DtlsRole>,
    /// The DTLS version agreed upon: `1.2`.
    pub dtls_version: Option<&'static str>,
    /// The cipher suite agreed upon, by its registered name.
    pub cipher_suite: Option<&'static str>,
    /// Where the cryptography comes from.
    pub provider: &'static str,
    /// The largest message that we receive, in bytes.
    pub max_message_size: u64,
    /// The association under the data channels.
    pub sctp: sctp::Stats,
    /// What SRTP has done with packets of ours and of the peer's, once media are protected.
    pub srtp: Option<(srtp::OutboundStats, srtp::InboundStats)>,
    /// SSRCs of the peer's that are known.
    pub remote_sources: usize,
    /// Packets of media that were given up when their turn came.
    pub media_refused: u64,
    /// How often SSRCs of ours were drawn anew, since the peer uses them too.
    pub collisions: u64,
    /// Datagrams that were ignored, by who refused them.
    pub ignored: Ignored,
}

/// Datagrams that were ignored, and changed nothing.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Ignored {
    /// Of no protocol that is spoken here.
    pub unknown_protocol: u64,
    /// Before or after there was anyone to take them.
    pub untimely: u64,
    /// By ICE: malformed, forged, or on a path that is not the peer's.
    pub connectivity: u64,
    /// By DTLS: malformed, forged or replayed.
    pub dtls: u64,
    /// By SCTP.
    pub sctp: u64,
    /// By SRTP: malformed, forged or replayed.
    pub srtp: u64,
    /// RTP that is authentic and of no use: late, a duplicate, malformed.
    pub media: u64,
    /// RTP that is authentic and belongs to nobody, or has a payload type that was not agreed upon.
    pub stray: u64,
}

impl Ignored {
    pub(crate) const fn count(&mut self, discard: &Discard) {
        let counter = match discard {
            Discard::UnknownProtocol => &mut self.unknown_protocol,
            Discard::TooEarly | Discard::Unconfirmed | Discard::Over => &mut self.untimely,
            Discard::Connectivity(_) => &mut self.connectivity,
            Discard::Dtls(_) => &mut self.dtls,
            Discard::Sctp(_) => &mut self.sctp,
            Discard::Srtp(_) => &mut self.srtp,
            Discard::Media(_) => &mut self.media,
            Discard::Malformed
            | Discard::UnknownStream
            | Discard::UnknownPayloadType
            | Discard::TooManySources => &mut self.stray,
        };
        *counter = counter.wrapping_add(1);
    }
}

/// Why a session is connected, or not. It prints as a page.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Report {
    /// The state of the connection as a whole.
    pub connection: ConnectionState,
    /// The state of ICE.
    pub ice: IceState,
    /// The state of gathering.
    pub gathering: GatheringState,
    /// The state of the exchange of descriptions.
    pub signaling: SignalingState,
    /// Figures.
    pub stats: Stats,
    /// Interfaces of the machine, with the addresses that could be used; filled in by whoever knows them. Empty where host
    /// addresses are hidden.
    pub interfaces: Vec<InterfaceReport>,
    /// Servers that were asked for and are not used.
    pub unused_servers: Vec<UnusedServer>,
    /// Candidates, pairs with their checks, servers with their answers; once there is a transport.
    pub connectivity: Option<connectivity::Report>,
    /// Likewise of further transports, which sections that are not bundled have.
    pub others: Vec<(TransportId, connectivity::Report)>,
}

/// An address of an interface.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct InterfaceReport {
    /// The interface's name.
    pub name: String,
    /// The address.
    pub address: IpAddr,
    /// Whether a socket is bound there.
    pub is_used: bool,
}

impl Session {
    /// Figures, as they are at `now`.
    pub fn stats(&self, now: Instant) -> Stats {
        let transport = self.transports.first();
        let media = || self.transports.iter().filter_map(|transport| transport.media.as_ref());
        let dtls = transport.and_then(|transport| transport.dtls());
        let path = transport.and_then(|transport| {
            let connectivity = &transport.connectivity;
            connectivity.selected_path().map(|path| connectivity.shown(path))
        });
        let kinds = transport.and_then(|transport| transport.connectivity.selected_kinds());
        Stats {
            at: now,
            selected_path: path,
            local_kind: kinds.map(|(local, _)| local),
            remote_kind: kinds.map(|(_, remote)| remote),
            round_trip: transport.and_then(|transport| transport.connectivity.round_trip()),
            ice_role: transport.map(|transport| transport.connectivity.role()),
            dtls_role: transport.and_then(|transport| transport.dtls_role()),
            dtls_version: dtls.and_then(dtls::Connection::version).map(|_| "1.2"),
            cipher_suite: dtls.and_then(dtls::Connection::cipher_suite).map(|suite| suite.name()),
            provider: self.provider_name(),
            max_message_size: self.max_received_message(),
            sctp: self.channels.association_stats(),
            srtp: transport.and_then(|transport| transport.srtp_stats()),
            remote_sources: media().map(|media| media.streams.len()).sum(),
            media_refused: self
                .transports
                .iter()
                .map(|it| it.media_refused())
                .fold(self.gone.media_refused, u64::wrapping_add),
            collisions: media().map(|media| media.collisions).fold(self.gone.collisions, u64::wrapping_add),
            ignored: self.ignored,
        }
    }

    /// Why it is connected, or not, as of `now`.
    pub fn report(&self, now: Instant) -> Report {
        Report {
            connection: self.connection_state(),
            ice: self.ice_state(),
            gathering: self.gathering_state(),
            signaling: self.signaling_state(),
            stats: self.stats(now),
            interfaces: Vec::new(),
            unused_servers: self.unused_servers().to_vec(),
            connectivity: self.transports.first().map(|transport| transport.connectivity.report()),
            others: self.transports.iter().skip(1).map(|it| (it.id, it.connectivity.report())).collect(),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "connection: {}", self.connection.name())?;
        if let ConnectionState::Failed(failure) = self.connection {
            write!(f, " ({failure})")?;
        }
        writeln!(f, "\nsignaling: {}, gathering: {}", self.signaling.name(), self.gathering.name())?;
        let Stats { dtls_version, cipher_suite, provider, ignored, .. } = &self.stats;
        match (dtls_version, cipher_suite) {
            (Some(version), Some(suite)) => writeln!(f, "DTLS {version}, {suite}, by {provider}")?,
            _ => writeln!(f, "DTLS: not agreed yet")?,
        }
        let Ignored { unknown_protocol, untimely, connectivity, dtls, sctp, srtp, media, stray } = ignored;
        writeln!(
            f,
            "ignored datagrams: {unknown_protocol} of no known protocol, {untimely} untimely, {connectivity} by ICE, {dtls} by DTLS, {sctp} by SCTP, {srtp} by SRTP, {media} of no use, {stray} stray"
        )?;
        for InterfaceReport { name, address, is_used } in &self.interfaces {
            writeln!(f, "interface {name}: {address}{}", if *is_used { "" } else { ", not used" })?;
        }
        self.unused_servers.iter().try_for_each(|server| writeln!(f, "{server}"))?;
        match &self.connectivity {
            Some(report) => report.fmt(f)?,
            None => writeln!(f, "try: nothing was offered or answered yet; exchange descriptions")?,
        }
        self.others.iter().try_for_each(|(id, report)| write!(f, "transport {id}\n{report}"))
    }
}
