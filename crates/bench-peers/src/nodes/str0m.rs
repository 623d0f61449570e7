use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;
use str0m::change::{SdpAnswer, SdpOffer};
use str0m::channel::{ChannelConfig, ChannelId};
use str0m::net::{Protocol, Receive};
use str0m::{Candidate, Event, Input, Output, Rtc};

use super::{address, drain};
use crate::pair::{Datagram, Node, Pair};

pub struct Str0m {
    rtc: Rtc,
    is_first: bool,
    channel: Option<ChannelId>,
    deadline: Option<Instant>,
    waiting: VecDeque<Bytes>,
    received: VecDeque<Vec<u8>>,
}

impl Str0m {
    fn new(is_first: bool, queue: usize, now: Instant) -> Self {
        let mut rtc = Rtc::builder()
            .set_sctp_max_buffered_amount(queue)
            .set_sctp_max_message_size(1 << 20)
            .set_stats_interval(None)
            .build(now);
        let host = Candidate::host(address(is_first), "udp").expect("a candidate");
        rtc.add_local_candidate(host).expect("room for it");
        Self {
            rtc,
            is_first,
            channel: None,
            deadline: None,
            waiting: VecDeque::new(),
            received: VecDeque::new(),
        }
    }

    /// Two ends that know each other's descriptions.
    pub fn pair(queue: usize) -> Pair<Self> {
        let now = Instant::now();
        let (mut a, mut b) = (Self::new(true, queue, now), Self::new(false, queue, now));
        let mut change = a.rtc.sdp_api();
        change.add_channel_with_config(ChannelConfig { label: "bench".into(), ..Default::default() });
        let (offer, pending) = change.apply().expect("an offer");
        let offer = SdpOffer::from_sdp_string(&offer.to_sdp_string()).expect("an offer");
        let answer = b.rtc.sdp_api().accept_offer(offer).expect("an answer");
        let answer = SdpAnswer::from_sdp_string(&answer.to_sdp_string()).expect("an answer");
        a.rtc.sdp_api().accept_answer(pending, answer).expect("it fits");
        a.timeout(now);
        b.timeout(now);
        Pair { a, b, now }
    }

    fn poll(&mut self) {
        loop {
            match self.rtc.poll_output().expect("no failure") {
                Output::Timeout(due) => {
                    self.deadline = Some(due);
                    return;
                }
                Output::Transmit(transmit) => {
                    self.waiting.push_back(Bytes::from(Vec::<u8>::from(transmit.contents)));
                }
                Output::Event(Event::ChannelOpen(channel, _)) => self.channel = Some(channel),
                Output::Event(Event::ChannelData(data)) => self.received.push_back(data.data),
                Output::Event(_) => {}
            }
        }
    }
}

impl Node for Str0m {
    fn handle(&mut self, now: Instant, datagram: Datagram<'_>) {
        let bytes = datagram.into_bytes();
        let (from, to) = (address(!self.is_first), address(self.is_first));
        let received = Receive::new(Protocol::Udp, from, to, &bytes).expect("a datagram of its kind");
        self.rtc.handle_input(Input::Receive(now, received)).expect("no failure");
    }

    fn carry(&mut self, _: Instant, most: usize, deliver: &mut dyn FnMut(Datagram<'_>)) -> usize {
        self.poll();
        drain(&mut self.waiting, most, deliver)
    }

    fn deadline(&mut self) -> Option<Instant> {
        self.deadline
    }

    fn timeout(&mut self, now: Instant) {
        self.rtc.handle_input(Input::Timeout(now)).expect("no failure");
    }

    fn is_open(&self) -> bool {
        self.channel.is_some()
    }

    fn send(&mut self, _: Instant, message: &Bytes) -> bool {
        let Some(channel) = self.channel.and_then(|id| self.rtc.channel(id)) else { return false };
        let mut channel = channel;
        channel.write(true, message).expect("it is open")
    }

    fn receive(&mut self, _: Instant, take: &mut dyn FnMut(&[u8])) {
        self.received.drain(..).for_each(|message| take(&message));
    }
}
