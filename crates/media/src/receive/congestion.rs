use std::time::Duration;

use proto::{Ecn, Instant};
use rtp::rtcp::{Encoder, PacketStatus};
use rtp::{NtpTime, SequenceNumber, Ssrc};

use super::window::Window;

/// When packets of each stream have arrived, and with what marks, for feedback on them (RFC 8888). One for all streams of a transport.
#[derive(Clone, Debug)]
pub(crate) struct StreamArrivals {
    limits: StreamArrivalLimits,
    streams: Vec<Stream>,
    dropped: u64,
}

/// What waits for feedback at most.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StreamArrivalLimits {
    pub(crate) max_streams: usize,
    pub(crate) max_packets: usize,
}

#[derive(Clone, Debug)]
struct Stream {
    ssrc: Ssrc,
    window: Window<Arrival>,
    last: Instant,
}

#[derive(Clone, Copy, Debug)]
struct Arrival {
    at: Instant,
    ecn: Option<Ecn>,
}

impl StreamArrivals {
    pub(crate) const fn new(limits: StreamArrivalLimits) -> Self {
        Self { limits, streams: Vec::new(), dropped: 0 }
    }

    /// A packet came.
    pub(crate) fn add(&mut self, now: Instant, ssrc: Ssrc, sequence: SequenceNumber, ecn: Option<Ecn>) {
        let max = self.limits.max_packets;
        let dropped = self.stream(now, ssrc).map_or(1, |stream| {
            stream.last = now;
            // RFC 8888 §3.1: of duplicates the first one's time, and a mark of congestion if any had one.
            stream.window.add(max, sequence, Arrival { at: now, ecn }, |same| {
                if ecn == Some(Ecn::Ce) {
                    same.ecn = ecn;
                }
            })
        });
        self.dropped = self.dropped.saturating_add(u64::try_from(dropped).unwrap_or(0));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.streams.iter().all(|stream| stream.window.is_told())
    }

    /// Packets that no feedback was given on, as too many waited or they came too late.
    pub(crate) const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Writes feedback on as many packets as there is room for. Gives whether it wrote any.
    pub(crate) fn write(
        &mut self,
        now: Instant,
        ntp: NtpTime,
        sender: Ssrc,
        out: &mut Encoder<'_, '_>,
    ) -> bool {
        // Header, sender and time; of each stream its own header and what fills the last word.
        let mut room = out.room().saturating_sub(12) / 2;
        let mut taken = [(0_u64, 0_u64); MAX_STREAMS];
        for (stream, range) in self.streams.iter().zip(&mut taken) {
            let Some(begin) = stream.window.begin() else { continue };
            let span = stream.window.end().saturating_sub(begin);
            let span = span.min(u64::try_from(room.saturating_sub(5)).unwrap_or(0)).min(MAX_SPAN);
            if span == 0 {
                continue;
            }
            *range = (begin, begin.saturating_add(span));
            room = room.saturating_sub(usize::try_from(span).unwrap_or(usize::MAX)).saturating_sub(5);
        }
        if taken.iter().all(|(begin, end)| begin == end) {
            return false;
        }
        let streams = self.streams.iter().zip(taken).filter(|(_, (begin, end))| begin < end);
        let streams = streams.map(|(stream, (begin, end))| {
            (stream.ssrc, SequenceNumber::from(begin), stream.statuses(now, begin, end))
        });
        if out.congestion_control(sender, ntp.middle(), streams).is_err() {
            return false;
        }
        for (stream, (begin, end)) in self.streams.iter_mut().zip(taken) {
            if begin < end {
                stream.window.tell(end);
            }
        }
        true
    }

    fn stream(&mut self, now: Instant, ssrc: Ssrc) -> Option<&mut Stream> {
        let found = self.streams.iter().position(|stream| stream.ssrc == ssrc);
        let at = match found {
            Some(at) => at,
            None => {
                let fresh = Stream { ssrc, window: Window::new(), last: now };
                if self.streams.len() < self.limits.max_streams.min(MAX_STREAMS) {
                    self.streams.push(fresh);
                    self.streams.len().saturating_sub(1)
                } else {
                    let idle = |stream: &Stream| stream.window.is_told() && now - stream.last >= IDLE;
                    let at = self.streams.iter().position(idle)?;
                    *self.streams.get_mut(at)? = fresh;
                    at
                }
            }
        };
        self.streams.get_mut(at)
    }
}

impl Stream {
    fn statuses(&self, now: Instant, begin: u64, end: u64) -> impl Iterator<Item = PacketStatus> + '_ {
        let mut known = self.window.since(begin).peekable();
        (begin..end).map(move |number| match known.next_if(|(known, _)| *known == number) {
            None => PacketStatus::Lost,
            Some((_, Arrival { at, ecn })) => {
                let offset = (now - *at).as_nanos().saturating_mul(1024) / 1_000_000_000;
                let offset = u16::try_from(offset).unwrap_or(u16::MAX).min(LONGEST);
                PacketStatus::Received { ecn: *ecn, offset: Some(offset) }
            }
        })
    }
}

/// How often there is feedback (RFC 8888 §4 has it follow the round trip and the rate; once a frame is the example).
pub(crate) const INTERVAL: Duration = Duration::from_millis(50);
/// RFC 8888 §3.1: longer offsets than 8,189 are told as 8,190.
const LONGEST: u16 = 8190;
const MAX_STREAMS: usize = 64;
const MAX_SPAN: u64 = 16_384;
const IDLE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use proto::Writer;
    use rtp::rtcp::{Compound, Packet};

    use super::*;

    fn new() -> StreamArrivals {
        StreamArrivals::new(StreamArrivalLimits { max_streams: 2, max_packets: 100 })
    }

    const fn at(millis: u64) -> Instant {
        Instant::from_nanos(millis * 1_000_000)
    }

    type Told = Vec<(u32, u16, Option<(Option<Ecn>, u16)>)>;

    fn feedback(arrivals: &mut StreamArrivals, now: Instant, room: usize) -> Told {
        let mut memory = [0; 1200];
        let mut out = Writer::new(memory.get_mut(..room).unwrap());
        if !arrivals.write(now, NtpTime(7 << 32), Ssrc(1), &mut Encoder::new(&mut out)) {
            return Vec::new();
        }
        let mut told = Vec::new();
        for packet in Compound::decode(out.written()).unwrap().packets() {
            let Ok(Packet::CongestionControl(it)) = packet else { panic!("{packet:?}") };
            assert_eq!((it.sender, it.timestamp), (Ssrc(1), 7 << 16));
            for stream in it.streams() {
                told.extend(stream.packets().map(|(number, status)| {
                    let status = match status {
                        PacketStatus::Lost => None,
                        PacketStatus::Received { ecn, offset } => Some((ecn, offset.unwrap())),
                    };
                    (stream.ssrc.0, number.0, status)
                }));
            }
        }
        told
    }

    #[test]
    fn packets_of_each_stream_are_told_with_time_and_mark() {
        let mut arrivals = new();
        arrivals.add(at(0), Ssrc(5), SequenceNumber(65_535), Some(Ecn::Ect1));
        arrivals.add(at(500), Ssrc(5), SequenceNumber(1), Some(Ecn::Ce));
        arrivals.add(at(500), Ssrc(6), SequenceNumber(9), None);
        let told = feedback(&mut arrivals, at(1000), 1200);
        let expected = [
            (5, 65_535, Some((Some(Ecn::Ect1), 1024))),
            (5, 0, None),
            (5, 1, Some((Some(Ecn::Ce), 512))),
            (6, 9, Some((None, 512))),
        ];
        assert_eq!(told, expected);
        assert!(arrivals.is_empty() && feedback(&mut arrivals, at(1001), 1200).is_empty());
        // What is lost between two feedbacks, and what comes late.
        arrivals.add(at(1100), Ssrc(5), SequenceNumber(4), None);
        let numbers = |told: Told| told.iter().map(|(_, n, it)| (*n, it.is_some())).collect::<Vec<_>>();
        assert_eq!(numbers(feedback(&mut arrivals, at(1100), 1200)), [(2, false), (3, false), (4, true)]);
        arrivals.add(at(1200), Ssrc(5), SequenceNumber(2), None);
        assert_eq!(numbers(feedback(&mut arrivals, at(1200), 1200))[0], (2, true));
    }

    #[test]
    fn what_was_told_as_come_stays_so_in_reports_that_overlap() {
        let mut arrivals = new();
        let mark = Some(Ecn::Ce);
        for number in [1, 2, 4, 5] {
            arrivals.add(at(0), Ssrc(5), SequenceNumber(number), mark);
        }
        assert_eq!(feedback(&mut arrivals, at(500), 1200).len(), 5);
        for number in [3, 6] {
            arrivals.add(at(750), Ssrc(5), SequenceNumber(number), None);
        }
        let expected = [(3, None, 256), (4, mark, 1024), (5, mark, 1024), (6, None, 256)];
        let expected = expected.map(|(number, ecn, offset)| (5, number, Some((ecn, offset))));
        assert_eq!(feedback(&mut arrivals, at(1000), 1200), expected);
    }

    #[test]
    fn a_stream_that_begins_anew_is_told_from_its_beginning() {
        let mut arrivals = new();
        arrivals.add(at(0), Ssrc(5), SequenceNumber(30_000), None);
        assert_eq!(feedback(&mut arrivals, at(0), 1200).len(), 1);
        for number in [9, 10] {
            arrivals.add(at(50), Ssrc(5), SequenceNumber(number), None);
            assert_eq!(feedback(&mut arrivals, at(50), 1200), [(5, number, Some((None, 0)))]);
        }
    }

    #[test]
    fn a_second_copy_only_adds_its_mark() {
        let mut arrivals = new();
        arrivals.add(at(0), Ssrc(5), SequenceNumber(1), Some(Ecn::Ect0));
        arrivals.add(at(50), Ssrc(5), SequenceNumber(1), Some(Ecn::Ce));
        assert_eq!(feedback(&mut arrivals, at(100), 1200), [(5, 1, Some((Some(Ecn::Ce), 102)))]);
    }

    #[test]
    fn streams_and_packets_have_their_limits() {
        let mut arrivals = new();
        (5..8).for_each(|ssrc| arrivals.add(at(0), Ssrc(ssrc), SequenceNumber(1), None));
        assert_eq!(arrivals.dropped(), 1);
        assert_eq!(feedback(&mut arrivals, at(1), 1200).len(), 2);
        // A stream that has gone makes room.
        arrivals.add(at(6000), Ssrc(7), SequenceNumber(1), None);
        assert_eq!(feedback(&mut arrivals, at(6000), 1200).len(), 1);
        (2..103).for_each(|number| arrivals.add(at(6000), Ssrc(7), SequenceNumber(number), None));
        assert_eq!(arrivals.dropped(), 2);
    }

    #[test]
    fn what_does_not_fit_is_told_by_the_next() {
        let mut arrivals = new();
        (0..100).for_each(|number| arrivals.add(at(0), Ssrc(5), SequenceNumber(number), None));
        let (mut told, mut rounds) = (Vec::new(), 0);
        while !arrivals.is_empty() {
            told.extend(feedback(&mut arrivals, at(1), 100).iter().map(|(_, number, _)| *number));
            rounds += 1;
        }
        assert_eq!(told, (0..100).collect::<Vec<u16>>());
        assert!(rounds > 2);
        assert!(feedback(&mut arrivals, at(1), 10).is_empty());
    }
}
