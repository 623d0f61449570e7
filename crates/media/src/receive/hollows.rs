use super::part::{Holds, Part};

/// Finds out which numbers of a stream hold nothing for those who forward it: repair, or empty packets, which have numbers of the
/// stream and go no further.
///
/// One that comes shows it itself. One that is lost lies between two pictures: where the last packet of a picture and the first of the
/// next are there, what is missing between them is of neither (RFC 5109 §14 has repair in the stream that it protects; libwebrtc goes
/// by pictures, too). Each is told once.
#[derive(Debug, Default)]
pub(crate) struct Hollows {
    /// By the number modulo the length; none before the first packet.
    slots: Vec<Slot>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    number: u64,
    /// `None` while it is missing.
    holds: Option<Holds>,
}

impl Hollows {
    /// A packet without media came. Gives whether that is news.
    pub(crate) fn hollow(&mut self, number: u64) -> bool {
        let Some(slot) = self.slot(number) else { return false };
        slot.holds.replace(Holds::Nothing) != Some(Holds::Nothing)
    }

    /// A packet of media came: this part of a picture, if it tells that. `tell` hears of what is missing beside it and holds nothing.
    pub(crate) fn media(&mut self, number: u64, part: Option<Part>, mut tell: impl FnMut(u64)) {
        let Some(slot) = self.slot(number) else { return };
        slot.holds = Some(Holds::Media(part));
        let Some(part) = part else { return };
        let first = number.saturating_sub(MAX_DISTANCE);
        let last = number.saturating_add(MAX_DISTANCE);
        if part.begins
            && let Some((before, Some(last))) = self.nearest((first..number).rev())
            && part.follows(last)
        {
            self.empty(before.saturating_add(1)..number, &mut tell);
        }
        // What follows was forwarded already, so that forwarders have to fill what is told now.
        if part.ends
            && let Some((behind, Some(next))) = self.nearest(number.saturating_add(1)..=last)
            && next.follows(part)
            && behind - number <= MAX_LATE
        {
            self.empty(number.saturating_add(1)..behind, &mut tell);
        }
    }

    /// The first of these numbers that holds media.
    fn nearest(&self, mut numbers: impl Iterator<Item = u64>) -> Option<(u64, Option<Part>)> {
        numbers.find_map(|number| {
            let slot = self.slots.get(place(number)).filter(|slot| slot.number == number)?;
            if let Some(Holds::Media(part)) = slot.holds { Some((number, part)) } else { None }
        })
    }

    fn empty(&mut self, numbers: std::ops::Range<u64>, tell: &mut impl FnMut(u64)) {
        for number in numbers {
            if self.hollow(number) {
                tell(number);
            }
        }
    }

    /// Where a number is kept; `None` if it is too old.
    fn slot(&mut self, number: u64) -> Option<&mut Slot> {
        if self.slots.is_empty() {
            self.slots.resize(SPAN, Slot::default());
        }
        let slot = self.slots.get_mut(place(number))?;
        if slot.number < number {
            *slot = Slot { number, holds: None };
        }
        (slot.number == number).then_some(slot)
    }
}

fn place(number: u64) -> usize {
    usize::try_from(number).unwrap_or(0) % SPAN
}

/// Numbers that are remembered: more than come while a retransmission is waited for, at 10 Mbit/s.
const SPAN: usize = 512;
/// How far apart two pictures are at most, with repair between them: RFC 5109 §7.3 spans 48 packets, and each may have one.
const MAX_DISTANCE: u64 = 64;
/// The same where a packet comes late: each number between costs an empty packet for each viewer.
const MAX_LATE: u64 = 16;

#[cfg(test)]
mod tests {
    use rtp::payload::PictureId;

    use super::super::part::PictureNumber;
    use super::*;

    /// Of which picture a packet is, and whether it begins and ends it.
    type Shown = (u16, bool, bool);

    /// Packets in the order in which they come; `None` is repair.
    fn told(packets: &[(u64, Option<Shown>)]) -> Vec<u64> {
        let mut hollows = Hollows::default();
        let mut told = Vec::new();
        for (number, part) in packets {
            match part {
                Some((picture, begins, ends)) => {
                    let number_of_it = PictureNumber::Payload(PictureId::Long(*picture));
                    let part = Part { number: number_of_it, begins: *begins, ends: *ends };
                    hollows.media(*number, Some(part), |number| told.push(number));
                }
                None => told.extend(hollows.hollow(*number).then_some(*number)),
            }
        }
        told
    }

    const fn all(picture: u16) -> Option<Shown> {
        Some((picture, true, true))
    }

    #[test]
    fn what_comes_is_told_once_and_what_is_missing_between_two_pictures_too() {
        assert_eq!(told(&[(70, all(1)), (71, None), (71, None), (72, all(2))]), [71]);
        assert_eq!(told(&[(70, all(1)), (73, all(2)), (72, None)]), [71, 72], "one comes late");
        assert_eq!(told(&[(70, all(1)), (72, None), (74, all(2))]), [72, 71, 73]);
        assert_eq!(told(&[(70, all(0x7fff)), (72, all(0))]), [71]);
    }

    #[test]
    fn what_may_be_of_a_picture_is_not_told() {
        assert_eq!(told(&[(70, Some((1, true, false))), (72, all(2))]), [], "the end is missing");
        assert_eq!(told(&[(70, all(1)), (72, Some((2, false, true)))]), [], "the begin is missing");
        assert_eq!(told(&[(70, all(1)), (72, all(3))]), [], "a whole picture is missing");
        let mut hollows = Hollows::default();
        hollows.media(70, None, |_| {});
        hollows.media(72, None, |number| panic!("{number}: pictures have no numbers"));
    }

    #[test]
    fn what_comes_late_shows_what_is_missing_beside_it() {
        let end = Some((1, false, true));
        assert_eq!(told(&[(70, Some((1, true, false))), (73, all(2)), (71, end)]), [72]);
        let begin = Some((2, true, false));
        assert_eq!(told(&[(70, all(1)), (73, Some((2, false, true))), (72, begin)]), [71]);
        // Not of as many as a hostile one likes: each costs viewers an empty packet.
        let late = |behind| told(&[(70, Some((1, true, false))), (behind, all(2)), (71, end)]).len();
        assert_eq!((late(87), late(88)), (15, 0));
    }

    #[test]
    fn as_many_numbers_are_remembered_as_the_limit_and_not_one_more() {
        let mut hollows = Hollows::default();
        hollows.media(1000, None, |_| {});
        hollows.media(1511, None, |_| {});
        assert!(hollows.hollow(1000), "511 before the newest");
        hollows.media(1512, None, |_| {});
        assert!(!hollows.hollow(1000));
        // Two pictures that lie further apart.
        assert_eq!(told(&[(100, all(1)), (164, all(2))]).len(), 63);
        assert_eq!(told(&[(100, all(1)), (165, all(2))]), []);
    }
}
