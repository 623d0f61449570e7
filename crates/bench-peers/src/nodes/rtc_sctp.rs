use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use rtc_sctp::{
    Association, AssociationHandle, ClientConfig, DatagramEvent, Endpoint, EndpointConfig, Event, Payload,
    PayloadProtocolIdentifier, ServerConfig, TransportConfig,
};
use rtc_shared::{TransportMessage, TransportProtocol};

use super::{address, drain};
use crate::pair::{Datagram, Node, Pair};

pub struct RtcSctp {
    endpoint: Endpoint,
    association: Option<(AssociationHandle, Association)>,
    remote: SocketAddr,
    open: bool,
    queue: usize,
    waiting: VecDeque<Bytes>,
    scratch: Vec<u8>,
}

impl RtcSctp {
    fn new(is_first: bool, queue: usize, now: Instant) -> Self {
        let mut config = EndpointConfig::new();
        config.max_payload_size(1200);
        let transport = TransportConfig::default().with_max_message_size(1 << 20);
        let server = (!is_first).then(|| Arc::new(ServerConfig::new(transport.clone())));
        let mut endpoint = Endpoint::new(address(is_first), TransportProtocol::UDP, Arc::new(config), server);
        let association = is_first
            .then(|| endpoint.connect(now, ClientConfig::new(transport), address(false)).expect("a client"));
        Self {
            endpoint,
            association,
            remote: address(!is_first),
            open: false,
            queue,
            waiting: VecDeque::new(),
            scratch: vec![0; 1 << 20],
        }
    }

    /// Two ends, with up to `queue` bytes waiting at the sender.
    pub fn pair(queue: usize) -> Pair<Self> {
        let now = Instant::now();
        Pair { a: Self::new(true, queue, now), b: Self::new(false, queue, now), now }
    }

    fn take_events(&mut self) {
        let Some((handle, association)) = &mut self.association else { return };
        while let Some(event) = association.poll() {
            if let Event::Connected = event {
                // Both ends use the same stream, by agreement.
                association.open_stream(STREAM, PayloadProtocolIdentifier::Binary).expect("a stream");
                self.open = true;
            }
        }
        while let Some(event) = association.poll_endpoint_event() {
            self.endpoint.handle_event(*handle, event);
        }
    }

    fn keep(&mut self, transmit: TransportMessage<Payload>) {
        if let Payload::RawEncode(packets) = transmit.message {
            self.waiting.extend(packets);
        }
    }
}

impl Node for RtcSctp {
    const OVERHEAD: usize = 65;

    fn handle(&mut self, now: Instant, datagram: Datagram<'_>) {
        match self.endpoint.handle(now, self.remote, None, datagram.into_bytes()) {
            Some((handle, DatagramEvent::NewAssociation(association))) => {
                self.association = Some((handle, association));
            }
            Some((_, DatagramEvent::AssociationEvent(event))) => {
                if let Some((_, association)) = &mut self.association {
                    association.handle_event(event);
                }
            }
            _ => {}
        }
        self.take_events();
    }

    fn carry(&mut self, now: Instant, most: usize, deliver: &mut dyn FnMut(Datagram<'_>)) -> usize {
        while let Some(transmit) =
            self.association.as_mut().and_then(|(_, association)| association.poll_transmit(now))
        {
            self.keep(transmit);
        }
        drain(&mut self.waiting, most, deliver)
    }

    fn deadline(&mut self) -> Option<Instant> {
        self.association.as_mut()?.1.poll_timeout()
    }

    fn timeout(&mut self, now: Instant) {
        if let Some((_, association)) = &mut self.association {
            association.handle_timeout(now);
        }
        self.take_events();
    }

    fn is_open(&self) -> bool {
        self.open
    }

    fn send(&mut self, now: Instant, message: &Bytes) -> bool {
        let Some((_, association)) = &mut self.association else { return false };
        let mut stream = association.stream(STREAM).expect("it is open");
        if stream.buffered_amount().expect("it is open") + message.len() > self.queue {
            return false;
        }
        let written = stream.write_sctp(now, message, PayloadProtocolIdentifier::Binary);
        written.expect("it is open") == message.len()
    }

    fn receive(&mut self, _: Instant, take: &mut dyn FnMut(&[u8])) {
        let Some((_, association)) = &mut self.association else { return };
        let Ok(mut stream) = association.stream(STREAM) else { return };
        while let Ok(Some(chunks)) = stream.read_sctp() {
            let len = chunks.read(&mut self.scratch).expect("it fits");
            take(&self.scratch[..len]);
        }
    }
}

const STREAM: u16 = 1;
