use std::collections::VecDeque;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use rtc::data_channel::{RTCDataChannelId, RTCDataChannelInit};
use rtc::peer_connection::configuration::RTCConfigurationBuilder;
use rtc::peer_connection::configuration::setting_engine::SettingEngineBuilder;
use rtc::peer_connection::event::{RTCDataChannelEvent, RTCPeerConnectionEvent};
use rtc::peer_connection::message::{RTCMessage, TaggedRTCMessage};
use rtc::peer_connection::transport::{CandidateConfig, CandidateHostConfig, RTCDtlsRole, RTCIceCandidate};
use rtc::peer_connection::{RTCPeerConnection, RTCPeerConnectionBuilder};
use rtc::sansio::Protocol;
use rtc::shared::{TaggedBytesMut, TransportContext, TransportProtocol};

use super::{address, drain};
use crate::pair::{Datagram, Node, Pair};

pub struct Rtc {
    connection: RTCPeerConnection,
    is_first: bool,
    channel: RTCDataChannelId,
    open: bool,
    queue: usize,
    waiting: VecDeque<Bytes>,
}

impl Rtc {
    fn new(is_first: bool, queue: usize, now: Instant) -> Self {
        let role = if is_first { RTCDtlsRole::Server } else { RTCDtlsRole::Client };
        let mut connection = RTCPeerConnectionBuilder::new()
            .with_configuration(RTCConfigurationBuilder::new().build())
            .with_setting_engine(SettingEngineBuilder::new().with_answering_dtls_role(role).build())
            .build(now)
            .expect("a connection");
        let local = address(is_first);
        let base_config = CandidateConfig {
            network: "udp".into(),
            address: local.ip().to_string(),
            port: local.port(),
            component: 1,
            ..Default::default()
        };
        let host = CandidateHostConfig { base_config, ..Default::default() }.new_candidate_host();
        let host = RTCIceCandidate::from(&host.expect("a candidate")).to_json().expect("a candidate");
        connection.add_local_candidate(host).expect("room for it");
        let init = RTCDataChannelInit { ordered: true, negotiated: Some(1), ..Default::default() };
        let channel = connection.create_data_channel("bench", Some(init)).expect("a channel").id();
        Self { connection, is_first, channel, open: false, queue, waiting: VecDeque::new() }
    }

    /// Two ends that know each other's descriptions.
    pub fn pair(queue: usize) -> Pair<Self> {
        let now = Instant::now();
        let (mut a, mut b) = (Self::new(true, queue, now), Self::new(false, queue, now));
        let offer = a.connection.create_offer(None).expect("an offer");
        a.connection.set_local_description(now, offer.clone()).expect("as created");
        b.connection.set_remote_description(now, offer).expect("it fits");
        let answer = b.connection.create_answer(None).expect("an answer");
        b.connection.set_local_description(now, answer.clone()).expect("as created");
        a.connection.set_remote_description(now, answer).expect("it fits");
        Pair { a, b, now }
    }
}

impl Node for Rtc {
    fn handle(&mut self, now: Instant, datagram: Datagram<'_>) {
        let message = datagram.into_bytes().try_into_mut().unwrap_or_else(|bytes| BytesMut::from(&bytes[..]));
        let transport = TransportContext {
            local_addr: address(self.is_first),
            peer_addr: address(!self.is_first),
            ecn: None,
            transport_protocol: TransportProtocol::UDP,
        };
        let _ = self.connection.handle_read(TaggedBytesMut { now, transport, message });
    }

    fn carry(&mut self, _: Instant, most: usize, deliver: &mut dyn FnMut(Datagram<'_>)) -> usize {
        while let Some(message) = self.connection.poll_write() {
            self.waiting.push_back(message.message.freeze());
        }
        while let Some(event) = self.connection.poll_event() {
            if let RTCPeerConnectionEvent::OnDataChannel(RTCDataChannelEvent::OnOpen(_)) = event {
                self.open = true;
            }
        }
        drain(&mut self.waiting, most, deliver)
    }

    fn deadline(&mut self) -> Option<Instant> {
        self.connection.poll_timeout()
    }

    fn timeout(&mut self, now: Instant) {
        let _ = self.connection.handle_timeout(now);
    }

    fn is_open(&self) -> bool {
        self.open
    }

    fn send(&mut self, now: Instant, message: &Bytes) -> bool {
        let Some(mut channel) = self.connection.data_channel(self.channel) else { return false };
        if channel.outstanding_bytes() + message.len() > self.queue {
            return false;
        }
        channel.send(now, BytesMut::from(&message[..])).is_ok()
    }

    fn receive(&mut self, _: Instant, take: &mut dyn FnMut(&[u8])) {
        while let Some(TaggedRTCMessage { message, .. }) = self.connection.poll_read() {
            if let RTCMessage::DataChannelMessage(_, message) = message {
                take(&message.data);
            }
        }
    }
}
