//! Keys that are pressed, on the wire: RFC 4733 by the rules of W3C WebRTC 1.0 §7.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a panic is how a test fails"
)]

mod support;

use std::net::SocketAddr;
use std::time::Duration;

use media::{
    Codec, Format, OutgoingFrame, Receiver, Rtp, SenderConfig, SenderEvent, SenderId, ToneError, ToneFormat,
};
use proto::{Instant, Writer};
use rtp::payload::telephone_event::Report;
use rtp::{Packet, PacketMut};
use support::{audio_receiver, audio_sender, opus, pt, rtp};
use testkit::{Capture, epoch};

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A packet that was sent.
#[derive(Clone, Debug)]
struct Sent {
    at: Instant,
    bytes: Vec<u8>,
}

impl Sent {
    fn packet(&self) -> Packet<'_> {
        Packet::decode(&self.bytes).unwrap()
    }

    fn is_tone(&self) -> bool {
        self.packet().header().payload_type == pt(110)
    }

    fn report(&self) -> Report {
        Report::decode(self.packet().payload()).unwrap()
    }
}

struct Phone {
    now: Instant,
    rtp: Rtp,
    sender: SenderId,
    sent: Vec<Sent>,
    began: Vec<(Duration, Option<char>)>,
    next_frame: u32,
}

impl Phone {
    fn new(change: impl FnOnce(&mut SenderConfig)) -> Self {
        let mut config = audio_sender();
        config.tones = Some(ToneFormat { payload_type: pt(110), events: 0xffff });
        change(&mut config);
        let mut rtp = rtp("phone", 3);
        let sender = rtp.add_sender(config).unwrap();
        Self { now: epoch(), rtp, sender, sent: Vec::new(), began: Vec::new(), next_frame: 0 }
    }

    fn sender(&mut self) -> &mut media::Sender {
        self.rtp.sender(self.sender).unwrap()
    }

    fn press(&mut self, tones: &str, duration: u64, gap: u64) -> Result<(), ToneError> {
        let now = self.now;
        self.sender().insert_tones(now, tones, ms(duration), ms(gap))
    }

    /// Goes on for so long; with speech of 20 ms a frame if that is wanted.
    fn run(&mut self, duration: Duration, speaks: bool) {
        let end = self.now + duration;
        while self.now < end {
            if speaks && (self.now - epoch()).as_millis().is_multiple_of(20) {
                let bytes = opus(self.next_frame);
                let timestamp = u32::try_from((self.now - epoch()).as_millis() * 48).unwrap();
                let frame = OutgoingFrame { bytes: &bytes, timestamp, ..OutgoingFrame::default() };
                self.next_frame += 1;
                let now = self.now;
                self.sender().send_frame(now, 0, &frame).unwrap();
            }
            let now = self.now;
            if self.rtp.poll_timeout().is_some_and(|due| due <= now) {
                self.rtp.handle_timeout(now);
            }
            let mut memory = [0; 1500];
            loop {
                let mut out = Writer::new(&mut memory);
                if !self.rtp.poll_rtp(now, &mut out) {
                    break;
                }
                self.sent.push(Sent { at: now, bytes: out.written().to_vec() });
            }
            while let Some(event) = self.rtp.poll_event(now) {
                if let media::Event::Sender(_, SenderEvent::Tone(tone)) = event {
                    self.began.push((now - epoch(), tone));
                }
            }
            self.now += ms(1);
        }
    }

    fn tones(&self) -> Vec<&Sent> {
        self.sent.iter().filter(|sent| sent.is_tone()).collect()
    }
}

#[test]
fn a_key_is_one_event_with_a_marker_growing_durations_and_three_ends() {
    let mut phone = Phone::new(|_| {});
    phone.run(ms(200), true);
    phone.press("5", 100, 70).unwrap();
    phone.run(ms(400), true);
    let tones = phone.tones();
    let ssrc = phone.sent[0].packet().header().ssrc;
    let first = tones[0].packet();
    assert_eq!(tones.iter().map(|sent| sent.packet().header().ssrc).collect::<Vec<_>>(), vec![ssrc; 8]);
    // Begun 199 ms after the first frame, one after the last.
    let begin = phone.sent[0].packet().header().timestamp.0.wrapping_add(200 * 48);
    let times: Vec<u32> = tones.iter().map(|sent| sent.packet().header().timestamp.0).collect();
    assert_eq!(times, vec![begin; 8], "all have the time at which the key was pressed");
    assert!(first.header().marker);
    assert!(tones[1..].iter().all(|sent| !sent.packet().header().marker));
    let reports: Vec<Report> = tones.iter().map(|sent| sent.report()).collect();
    let durations: Vec<u16> = reports.iter().map(|report| report.duration).collect();
    assert_eq!(durations, [1, 960, 1920, 2880, 3840, 4800, 4800, 4800]);
    assert!(reports.iter().all(|report| report.event.0 == 5 && report.volume == 10));
    assert_eq!(reports.iter().map(|report| report.end).filter(|end| *end).count(), 3);
    let at: Vec<u128> = tones.iter().map(|sent| (sent.at - tones[0].at).as_millis()).collect();
    assert_eq!(at, [0, 20, 40, 60, 80, 100, 120, 140]);
    // One stream: the numbers go on, and no speech is in between.
    let numbers: Vec<u16> = phone.sent.iter().map(|sent| sent.packet().header().sequence_number.0).collect();
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0].wrapping_add(1)), "{numbers:?}");
    let from = phone.sent.iter().position(Sent::is_tone).unwrap();
    assert!(phone.sent[from..from + 8].iter().all(Sent::is_tone) && !phone.sent[from + 8].is_tone());
    let stats = phone.sender().stats(0).unwrap();
    assert_eq!(stats.muted, 8, "{stats:?}");
    assert_eq!(stats.frames + stats.muted, u64::from(phone.next_frame));
    assert_eq!(phone.began, [(ms(200), Some('5')), (ms(370), None)]);
}

#[test]
fn tones_follow_one_another_and_a_comma_is_a_pause_of_two_seconds() {
    let mut phone = Phone::new(|_| {});
    phone.press("1a,#", 50, 40).unwrap();
    assert_eq!(phone.sender().tones().collect::<String>(), "1A,#");
    phone.run(ms(50), false);
    assert_eq!(phone.sender().tones().collect::<String>(), "A,#");
    phone.run(ms(3000), false);
    let told = [(0, Some('1')), (90, Some('A')), (180, Some(',')), (2180, Some('#')), (2270, None)];
    assert_eq!(phone.began, told.map(|(at, tone)| (ms(at), tone)));
    let mut events: Vec<u8> = phone.tones().iter().map(|sent| sent.report().event.0).collect();
    events.dedup();
    assert_eq!(events, [1, 12, 11]);
    // The ends of each are told before the next begins.
    for pair in phone.tones().windows(2) {
        let [one, other] = [pair[0].report(), pair[1].report()];
        assert!(one.event == other.event || one.end && other.duration == 1, "{one:?} {other:?}");
    }
    let ends = phone.tones().iter().filter(|sent| sent.report().end).count();
    assert_eq!(ends, 9);
}

#[test]
fn durations_are_those_of_the_specification() {
    for (asked, lasts, gap, waits) in [
        (0, 40, 0, 30),
        (39, 40, 29, 30),
        (40, 40, 30, 30),
        (6000, 6000, 6000, 6000),
        (6001, 6000, 6001, 6000),
        (60_000, 6000, 30, 30),
    ] {
        let mut phone = Phone::new(|config| config.codec = Codec::G711);
        phone.press("9", asked, gap).unwrap();
        phone.run(ms(13_000), false);
        let tones = phone.tones();
        let last = tones.last().unwrap();
        assert_eq!(u64::from(last.report().duration), lasts * 8, "{asked} ms");
        assert!(last.report().end && last.at - tones[0].at < ms(lasts + waits));
        assert_eq!(phone.began, [(ms(0), Some('9')), (ms(lasts + waits), None)]);
    }
}

#[test]
fn a_long_tone_of_a_fast_clock_goes_on_in_segments() {
    let mut phone = Phone::new(|_| {});
    phone.press("*", 6000, 100).unwrap();
    phone.run(ms(7000), false);
    let tones = phone.tones();
    let mut times: Vec<u32> = tones.iter().map(|sent| sent.packet().header().timestamp.0).collect();
    times.dedup();
    assert_eq!(times.len(), 5, "6 s are 288,000 ticks");
    assert!(times.windows(2).all(|pair| pair[1].wrapping_sub(pair[0]) == 65_535));
    assert_eq!(tones.iter().filter(|sent| sent.packet().header().marker).count(), 1);
    let last = tones.last().unwrap().report();
    assert!(last.end && u32::from(last.duration) == 288_000 - 4 * 65_535);
    assert_eq!(tones.iter().filter(|sent| sent.report().end).count(), 3);
}

#[test]
fn new_tones_take_the_place_of_those_that_wait_and_none_at_all_end_them() {
    let mut phone = Phone::new(|_| {});
    phone.press("123", 100, 50).unwrap();
    phone.run(ms(20), false);
    phone.press("78", 40, 30).unwrap();
    phone.run(ms(200), false);
    // The one in the air keeps its time.
    assert_eq!(phone.began, [(ms(0), Some('1')), (ms(150), Some('7'))]);
    phone.press("", 100, 70).unwrap();
    assert_eq!(phone.sender().tones().count(), 0);
    phone.run(ms(500), false);
    assert_eq!(phone.began[2..], [(ms(220), None)]);
    // No tones where none are played: nothing happens.
    phone.began.clear();
    phone.press("", 100, 70).unwrap();
    phone.run(ms(500), false);
    assert_eq!(phone.began, []);
}

#[test]
fn what_is_no_key_or_not_taken_or_too_much_is_refused_and_changes_nothing() {
    let mut phone = Phone::new(|config| {
        config.max_tones = 4;
        config.tones = Some(ToneFormat { payload_type: pt(110), events: 0x0fff });
    });
    phone.press("1234", 40, 30).unwrap();
    assert_eq!(phone.press("12345", 40, 30), Err(ToneError::TooMany));
    for wrong in ['E', ' ', '+', 'ä', '\u{0}', '.'] {
        assert_eq!(phone.press(&format!("1{wrong}"), 40, 30), Err(ToneError::Unknown(wrong)));
    }
    assert_eq!(phone.press("1d", 40, 30), Err(ToneError::NotTaken('d')));
    assert_eq!(phone.sender().tones().collect::<String>(), "1234");
    phone.sender().set_active(0, false);
    assert_eq!(phone.press("1", 40, 30), Err(ToneError::NotAllowed));
    assert!(!phone.sender().can_insert_tones());
    phone.run(ms(500), false);
    assert_eq!(phone.began, [], "what is switched off plays nothing");
    let mut phone = Phone::new(|config| config.tones = None);
    assert_eq!(phone.press("1", 40, 30), Err(ToneError::NotAllowed));
}

#[test]
fn tones_end_when_events_are_not_agreed_upon_any_more_and_speech_goes_on() {
    let mut phone = Phone::new(|_| {});
    phone.press("11", 1000, 100).unwrap();
    phone.run(ms(100), true);
    phone.sender().set_tones(None);
    let before = phone.tones().len();
    phone.run(ms(2000), true);
    assert_eq!(phone.tones().len(), before);
    assert!(phone.sent.len() > before + 95);
    assert_eq!(phone.began.len(), 1);
}

#[test]
fn whoever_is_late_tells_the_end_before_the_next_begins() {
    let mut phone = Phone::new(|_| {});
    phone.press("12", 100, 50).unwrap();
    phone.run(ms(1), false);
    phone.now += ms(700);
    phone.run(ms(700), false);
    let tones = phone.tones();
    let all: Vec<(u8, u16, bool)> = tones[..6]
        .iter()
        .map(|sent| (sent.report().event.0, sent.report().duration, sent.report().end))
        .collect();
    assert_eq!(
        all,
        [(1, 1, false), (1, 4800, true), (1, 4800, true), (1, 4800, true), (2, 1, false), (2, 960, false)]
    );
}

#[test]
fn a_key_that_is_pressed_for_long_does_not_delay_what_is_heard_afterwards() {
    let mut phone = Phone::new(|_| {});
    phone.run(ms(1000), true);
    phone.press("0", 6000, 30).unwrap();
    phone.run(ms(7000), true);
    let mut config = audio_receiver();
    config.formats.push((pt(110), Format::Media(Codec::OtherAudio { clock_rate: 48_000 })));
    config.probation = 0;
    let mut receiver = Receiver::new(config);
    for sent in &phone.sent {
        let (mut bytes, len) = (sent.bytes.clone(), sent.bytes.len());
        receiver.handle_rtp(sent.at + ms(30), PacketMut::decode(&mut bytes, len).unwrap()).unwrap();
        while receiver.poll_frame(sent.at + ms(30)).is_some() {}
    }
    let stream = receiver.streams().next().unwrap();
    let stats = receiver.stats(stream).unwrap();
    assert!(stats.delay < ms(100), "{stats:?}");
    assert_eq!(stats.track.concealed, 0, "{stats:?}");
}

#[test]
fn real_tshark_reads_the_keys_that_are_pressed() {
    let mut phone = Phone::new(|_| {});
    phone.run(ms(100), true);
    phone.press("0123456789*#ABCD", 60, 40).unwrap();
    phone.run(ms(2000), true);
    let mut capture = Capture::of_ip();
    let address = |host| SocketAddr::from(([192, 0, 2, host], 5004));
    for sent in &phone.sent {
        capture.datagram(sent.at, address(1), address(2), &sent.bytes);
    }
    let mut arguments = vec!["-d", "udp.port==5004,rtp", "-o", "rtpevent.event_payload_type_value:110"];
    let wanted =
        ["rtp.p_type", "rtpevent.event_id", "rtpevent.duration", "rtpevent.end_of_event", "rtp.marker"];
    wanted.iter().for_each(|field| arguments.extend(["-e", field]));
    let Some(seen) = capture.dissect_with("media-tones", &arguments) else {
        eprintln!("skipped: no tshark");
        return;
    };
    assert_eq!(seen.len(), phone.sent.len());
    let is_set = |field: &str| matches!(field, "1" | "True");
    let mut pressed = Vec::new();
    for (protocols, rest) in &seen {
        let fields: Vec<&str> = rest.split('|').collect();
        assert_eq!(fields[0], "", "malformed: {rest}");
        if fields[1] == "110" {
            assert!(protocols.ends_with("rtpevent"), "{protocols}");
            let end = is_set(fields[4]);
            pressed.push((
                fields[2].parse::<u8>().unwrap(),
                fields[3].parse::<u32>().unwrap(),
                end,
                is_set(fields[5]),
            ));
        }
    }
    let begun: Vec<u8> = pressed.iter().filter(|it| it.3).map(|it| it.0).collect();
    assert_eq!(begun, (0..16).collect::<Vec<u8>>());
    let ended: Vec<_> = pressed.iter().filter(|it| it.2).map(|it| (it.0, it.1)).collect();
    assert_eq!(ended, (0..16).flat_map(|key| [(key, 2880); 3]).collect::<Vec<_>>());
}
