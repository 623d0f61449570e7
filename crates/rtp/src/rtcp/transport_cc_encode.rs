use std::convert::Infallible;

use proto::{NoSpace, Writer};

use super::transport_cc::{LARGE, LOST, SMALL, VECTOR_ONE, VECTOR_TWO};
use super::{Encoder, FeedbackClass, TRANSPORT_CC};
use crate::{SequenceNumber, Ssrc};

/// What feedback on a transport says beside the times.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TransportFeedback {
    /// Who says it.
    pub sender: Ssrc,
    /// A stream of the transport.
    pub media: Ssrc,
    /// Which feedback it is; wraps.
    pub feedback_count: u8,
    /// The first packet that it is about, where that is missing, and with it all before the first that came. One that is not
    /// before that, or [`MAX_SPAN`] or more, counts for nothing.
    pub base: Option<SequenceNumber>,
}

/// A packet that has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Arrived {
    /// Its place in the transport.
    pub sequence: SequenceNumber,
    /// When it came, by our clock, in [`TICK`](super::TICK)s.
    pub ticks: u64,
}

impl Encoder<'_, '_> {
    /// Says when packets have arrived, and by that which have not. Their numbers rise. Gives how many of them
    /// went in: as many as there was room for, whose numbers span at most [`MAX_SPAN`], and whose times are
    /// near enough to each other (8 s) to be told. The next feedback goes on behind them.
    ///
    /// # Errors
    ///
    /// There is no room for any, or there is none.
    pub fn transport_cc(
        &mut self,
        it: TransportFeedback,
        arrived: impl Iterator<Item = Arrived> + Clone,
    ) -> Result<usize, NoSpace> {
        let TransportFeedback { sender, media, feedback_count, base } = it;
        let first = arrived.clone().next().ok_or(NoSpace)?;
        let base = base.filter(|base| first.sequence.since(*base) < MAX_SPAN).unwrap_or(first.sequence);
        let reference = first.ticks / TICKS_PER_REFERENCE;
        let [_, _, _, _, _, low @ ..] = reference.to_be_bytes();
        let room = self.room().saturating_sub(HEADERS) & !3;
        let ticks = first.ticks & !(TICKS_PER_REFERENCE - 1);
        let steps = Steps { arrived, base, statuses: 0, ticks };
        let (taken, statuses) = fit(steps.clone(), room);
        if taken == 0 {
            return Err(NoSpace);
        }
        self.feedback_with(FeedbackClass::Transport, TRANSPORT_CC, sender, media, |out| {
            out.put_u16(base.0)?;
            out.put_u16(statuses)?;
            out.put(&low)?;
            out.put_u8(feedback_count)?;
            write_chunks(out, steps.clone().take(taken))?;
            for step in steps.take(taken) {
                match step.small() {
                    Some(delta) => out.put_u8(delta)?,
                    None => out.put_u16(step.delta.cast_unsigned())?,
                }
            }
            Ok(taken)
        })
    }
}

/// From one packet to the next.
#[derive(Clone, Copy)]
struct Step {
    /// How many between them are missing.
    lost: u16,
    /// How much later it came.
    delta: i16,
    /// How many packets there are up to it.
    statuses: u16,
}

impl Step {
    fn small(self) -> Option<u8> {
        u8::try_from(self.delta).ok()
    }

    fn symbol(self) -> u16 {
        if self.small().is_some() { SMALL } else { LARGE }
    }
}

/// The steps, up to the first that cannot be told.
#[derive(Clone)]
struct Steps<I> {
    arrived: I,
    base: SequenceNumber,
    /// How many packets there are so far.
    statuses: u16,
    ticks: u64,
}

impl<I: Iterator<Item = Arrived>> Iterator for Steps<I> {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        let Arrived { sequence, ticks } = self.arrived.next()?;
        let place = sequence.since(self.base);
        let lost = place.checked_sub(self.statuses).filter(|_| place < MAX_SPAN)?;
        let delta = i16::try_from(ticks.wrapping_sub(self.ticks).cast_signed()).ok()?;
        self.statuses = place.checked_add(1)?;
        self.ticks = ticks;
        Some(Step { lost, delta, statuses: self.statuses })
    }
}

/// How many steps fit, and how many packets they are about.
fn fit(steps: impl Iterator<Item = Step>, room: usize) -> (usize, u16) {
    let mut packer = Packer::default();
    let mut written = 0_usize;
    let (mut taken, mut statuses) = (0_usize, 0);
    for step in steps {
        let mut count = |_| {
            written = written.saturating_add(2);
            Ok::<_, Infallible>(())
        };
        let Ok(()) = packer.push(LOST, step.lost, &mut count);
        let Ok(()) = packer.push(step.symbol(), 1, &mut count);
        written = written.saturating_add(if step.small().is_some() { 1 } else { 2 });
        // What is not yet a chunk will be one.
        if written.saturating_add(2) > room {
            break;
        }
        taken = taken.saturating_add(1);
        statuses = step.statuses;
    }
    (taken, statuses)
}

fn write_chunks(out: &mut Writer<'_>, steps: impl Iterator<Item = Step>) -> Result<(), NoSpace> {
    let mut packer = Packer::default();
    let mut put = |chunk| out.put_u16(chunk);
    for step in steps {
        packer.push(LOST, step.lost, &mut put)?;
        packer.push(step.symbol(), 1, &mut put)?;
    }
    packer.finish(&mut put)
}

/// Symbols that are not yet a chunk. There are never more than fit one: as a run, as fourteen of one bit if
/// none is large, or as seven of two bits.
#[derive(Clone, Copy, Default)]
struct Packer {
    /// The first fourteen.
    symbols: [u16; 14],
    len: u16,
    mixed: bool,
    large: bool,
}

impl Packer {
    fn push<E>(
        &mut self,
        symbol: u16,
        mut count: u16,
        put: &mut impl FnMut(u16) -> Result<(), E>,
    ) -> Result<(), E> {
        while count > 0 {
            let fits = self.fits(symbol);
            if fits == 0 {
                put(self.take_chunk(false))?;
                continue;
            }
            let added = fits.min(count);
            self.add(symbol, added);
            count = count.saturating_sub(added);
        }
        Ok(())
    }

    fn finish<E>(&mut self, put: &mut impl FnMut(u16) -> Result<(), E>) -> Result<(), E> {
        if self.len > 0 { put(self.take_chunk(true)) } else { Ok(()) }
    }

    /// How many of this symbol can be added.
    fn fits(&self, symbol: u16) -> u16 {
        let [first, ..] = self.symbols;
        if self.len == 0 || !self.mixed && first == symbol {
            return MAX_RUN.saturating_sub(self.len);
        }
        let vector = if self.large || symbol == LARGE { VECTOR_TWO } else { VECTOR_ONE };
        vector.saturating_sub(self.len)
    }

    fn add(&mut self, symbol: u16, count: u16) {
        let [first, ..] = self.symbols;
        self.mixed |= self.len > 0 && first != symbol;
        self.large |= symbol == LARGE;
        let places = self.symbols.iter_mut().skip(self.len.into());
        places.take(count.into()).for_each(|place| *place = symbol);
        self.len = self.len.saturating_add(count);
    }

    /// Makes a chunk of the first symbols: of all of them if they are the last, or as many as it can hold.
    fn take_chunk(&mut self, last: bool) -> u16 {
        let Self { symbols, len, mixed, large } = *self;
        let [first, ..] = symbols;
        *self = Self::default();
        if !mixed {
            return first << 13 | len;
        }
        if !large && (last || len == VECTOR_ONE) {
            return vector(&symbols, len, 1) | 0x8000;
        }
        // Something large comes next: seven go, and the others wait for it.
        let taken = len.min(VECTOR_TWO);
        for symbol in symbols.iter().take(len.into()).skip(taken.into()) {
            self.add(*symbol, 1);
        }
        vector(&symbols, taken, 2) | 0xc000
    }
}

/// The first symbols, from the top of fourteen bits.
fn vector(symbols: &[u16; 14], len: u16, width: u32) -> u16 {
    let mut bits = 0_u16;
    let places = if width == 1 { VECTOR_ONE } else { VECTOR_TWO };
    for place in 0..places {
        let symbol = symbols.get(usize::from(place)).copied().filter(|_| place < len).unwrap_or(LOST);
        bits = bits.wrapping_shl(width) | symbol;
    }
    bits
}

/// How many packets feedback is about at most. More could not be told from packets of before.
pub const MAX_SPAN: u16 = 0x7fff;

const TICKS_PER_REFERENCE: u64 = 256;
const MAX_RUN: u16 = 0x1fff;
/// Of the packet, of feedback, and of this feedback.
const HEADERS: usize = 20;
