//! How a figure is taken: CPU time of the measuring thread, sides in turn, medians.

use std::time::Instant;

use rustix::time::{ClockId, clock_gettime};

/// CPU time of the calling thread, user and system, in nanoseconds.
pub fn thread_cpu() -> u64 {
    read(ClockId::ThreadCPUTime)
}

/// CPU time of the whole process, user and system, in nanoseconds.
pub fn process_cpu() -> u64 {
    read(ClockId::ProcessCPUTime)
}

fn read(id: ClockId) -> u64 {
    let time = clock_gettime(id);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// How long and how often.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Samples of each side.
    pub rounds: usize,
    /// CPU time of a sample, in milliseconds.
    pub sample_ms: u64,
}

/// One side of a workload: what it is called, and a closure that takes one sample.
pub struct Side<'a> {
    pub name: &'static str,
    /// The package that it comes from; its version stands in the lock file.
    pub package: &'static str,
    pub sample: Box<dyn FnMut(Effort) -> f64 + 'a>,
}

impl<'a> Side<'a> {
    pub fn new(name: &'static str, package: &'static str, sample: impl FnMut(Effort) -> f64 + 'a) -> Self {
        Self { name, package, sample: Box::new(sample) }
    }

    /// A side whose sample is the CPU time of one `operation`, in nanoseconds.
    pub fn timed<T>(
        name: &'static str,
        package: &'static str,
        mut operation: impl FnMut() -> T + 'a,
    ) -> Self {
        Self::new(name, package, move |effort| {
            let (start, wall) = (thread_cpu(), Instant::now());
            let (mut count, mut step) = (0_u64, 1);
            loop {
                for _ in 0..step {
                    std::hint::black_box(operation());
                }
                count += step;
                let spent = thread_cpu() - start;
                // The clock costs as much as a short operation: it is read ever more rarely.
                if spent < effort.sample_ms * 100_000 {
                    step *= 2;
                }
                if spent >= effort.sample_ms * 1_000_000
                    || wall.elapsed().as_millis() as u64 > effort.sample_ms * 5
                {
                    return spent as f64 / count as f64;
                }
            }
        })
    }
}

/// What a side came to.
#[derive(Clone, Debug, serde::Deserialize, serde::Serialize)]
pub struct Figure {
    pub name: String,
    pub version: String,
    pub median: f64,
    pub low: f64,
    pub high: f64,
}

impl Figure {
    pub fn of(name: &str, package: &str, mut samples: Vec<f64>) -> Self {
        samples.sort_by(f64::total_cmp);
        let middle = samples.len() / 2;
        let median = if samples.len() % 2 == 1 {
            samples[middle]
        } else {
            f64::midpoint(samples[middle - 1], samples[middle])
        };
        Self {
            name: name.to_owned(),
            version: version(package).to_owned(),
            median,
            low: samples[0],
            high: samples[samples.len() - 1],
        }
    }
}

/// The version of a package, as locked; empty for our own.
fn version(package: &str) -> &'static str {
    let (_, entry) = LOCK.split_once(&format!("name = \"{package}\"\nversion = \"")).unwrap_or_default();
    entry.split_once('"').map(|(version, _)| version).filter(|_| package != OURS).unwrap_or_default()
}

/// Our own side.
pub const OURS: &str = "peerline";
const LOCK: &str = include_str!("../Cargo.lock");

/// Samples all sides in turn, so that a slow phase of the machine hits all of them alike.
pub fn in_turn(effort: Effort, mut sides: Vec<Side<'_>>) -> Vec<Figure> {
    let warm_up = Effort { sample_ms: effort.sample_ms / 5 + 1, ..effort };
    for side in &mut sides {
        (side.sample)(warm_up);
    }
    let mut samples = vec![Vec::new(); sides.len()];
    for _ in 0..effort.rounds {
        for (side, samples) in sides.iter_mut().zip(&mut samples) {
            samples.push((side.sample)(effort));
        }
    }
    sides.iter().zip(samples).map(|(side, samples)| Figure::of(side.name, side.package, samples)).collect()
}

/// What is seen of a stream of messages: cheap enough to be taken while time is measured.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Digest {
    pub bytes: u64,
    pub messages: u64,
    sum: u64,
}

impl Digest {
    pub fn add(&mut self, message: &[u8]) {
        self.bytes += message.len() as u64;
        self.messages += 1;
        // First, middle and last words: a message cut, filled with zeros or swapped with another shows.
        let word = |at: usize| {
            let mut word = [0; 8];
            let len = (message.len() - at).min(8);
            word[..len].copy_from_slice(&message[at..at + len]);
            u64::from_le_bytes(word)
        };
        if !message.is_empty() {
            let (middle, end) = (message.len() / 2, message.len().saturating_sub(8));
            let sum =
                word(0).wrapping_add(word(middle).rotate_left(13)).wrapping_add(word(end).rotate_left(29));
            self.sum = self.sum.wrapping_mul(31).wrapping_add(sum);
        }
    }
}

/// A few different messages of one size.
pub fn messages(size: usize) -> Vec<bytes::Bytes> {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut message = |_| (0..size).map(|_| random.next() as u8).collect::<Vec<_>>().into();
    (0..7).map(&mut message).collect()
}

/// xorshift: seeded, so that runs repeat.
#[derive(Debug)]
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}
