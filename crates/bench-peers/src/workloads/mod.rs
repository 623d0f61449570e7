//! What is measured, and what is asked of us.

mod connection;
mod dtls;
mod forward;
mod forward_singly;
mod loopback;
mod relay;
mod sdp;
mod srtp;
mod stun;
mod transfer;

pub use connection::heap_of_idle_ends;

use crate::measure::{Effort, Figure};

/// One line of the table. The first figure of `run` is ours.
pub struct Workload {
    pub name: &'static str,
    pub unit: &'static str,
    pub better: Better,
    /// What must be met.
    pub floor: Goal,
    /// What is aimed at.
    pub aim: Goal,
    /// The aim as times the best peer, on the slower machine that the aim was set on: it does not become
    /// easier with the machine.
    pub aim_times: f64,
    pub run: fn(Effort) -> Vec<Figure>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Better {
    Lower,
    Higher,
}

#[derive(Clone, Copy, Debug)]
pub enum Goal {
    /// Times the best peer.
    Times(f64),
    /// So much, in the unit of the workload.
    Figure(f64),
    /// At most so many times the encryption alone, of the same provider.
    Bare(f64),
}

impl Workload {
    /// How many times better than `theirs` `ours` is.
    pub fn ratio(&self, ours: f64, theirs: f64) -> f64 {
        if self.better == Better::Lower { theirs / ours } else { ours / theirs }
    }

    /// Whether `ours` meets `goal` beside `best`, of the peers, or the encryption alone where the goal says so.
    pub fn meets(&self, goal: Goal, ours: f64, best: f64) -> bool {
        match (goal, self.better) {
            (Goal::Times(times), _) => self.ratio(ours, best) >= times,
            (Goal::Bare(times), _) => ours <= times * best,
            (Goal::Figure(most), Better::Lower) => ours <= most,
            (Goal::Figure(least), Better::Higher) => ours >= least,
        }
    }
}

/// All of them, in the order of the table.
pub const ALL: &[Workload] = &[
    Workload {
        name: "STUN check and response",
        unit: "ns",
        better: Better::Lower,
        floor: Goal::Times(1.0),
        aim: Goal::Figure(950.0),
        aim_times: 2.0,
        run: stun::check_and_response,
    },
    Workload {
        name: "SDP parse, 8.8 KB",
        unit: "µs",
        better: Better::Lower,
        floor: Goal::Times(1.0),
        aim: Goal::Figure(30.0),
        aim_times: 3.8,
        run: sdp::parse,
    },
    Workload {
        name: "SDP write, 8.8 KB",
        unit: "µs",
        better: Better::Lower,
        floor: Goal::Times(1.0),
        aim: Goal::Figure(9.0),
        aim_times: 3.9,
        run: sdp::write,
    },
    Workload {
        name: "DTLS 1.2 handshake, both ends",
        unit: "µs",
        better: Better::Lower,
        floor: Goal::Times(1.0),
        aim: Goal::Figure(400.0),
        aim_times: 1.43,
        run: dtls::handshake,
    },
    Workload {
        name: "SCTP alone, 16 KiB",
        unit: "MB/s",
        better: Better::Higher,
        floor: Goal::Times(1.0),
        aim: Goal::Figure(2000.0),
        aim_times: 2.0,
        run: transfer::sctp_16k,
    },
    Workload {
        name: "SCTP alone, 64 B",
        unit: "k/s",
        better: Better::Higher,
        floor: Goal::Times(1.0),
        aim: Goal::Figure(2500.0),
        aim_times: 2.7,
        run: transfer::sctp_64,
    },
    Workload {
        name: "Whole stack in memory, 16 KiB",
        unit: "MB/s",
        better: Better::Higher,
        floor: Goal::Times(1.5),
        aim: Goal::Figure(550.0),
        aim_times: 3.0,
        run: transfer::stack_16k,
    },
    Workload {
        name: "The same with 4 MiB queued, of its own",
        unit: "×",
        better: Better::Higher,
        floor: Goal::Figure(0.9),
        aim: Goal::Figure(1.0),
        aim_times: 1.0,
        run: transfer::deep_queue,
    },
    Workload {
        name: "CPU over loopback UDP, 16 KiB",
        unit: "s/GB",
        better: Better::Lower,
        floor: Goal::Figure(10.0),
        aim: Goal::Figure(4.0),
        aim_times: 3.3,
        run: loopback::cpu_per_gigabyte,
    },
    Workload {
        name: "Connection set-up, CPU of both ends",
        unit: "ms",
        better: Better::Lower,
        floor: Goal::Times(1.0),
        aim: Goal::Figure(0.7),
        aim_times: 1.6,
        run: connection::set_up,
    },
    Workload {
        name: "Heap of an idle connected peer",
        unit: "KB",
        better: Better::Lower,
        floor: Goal::Figure(32.0),
        aim: Goal::Figure(12.0),
        aim_times: 3.5,
        run: connection::idle_heap,
    },
    Workload {
        name: "Link of 100 Mbit/s, 20 ms, simulated",
        unit: "Mbit/s",
        better: Better::Higher,
        floor: Goal::Figure(90.0),
        aim: Goal::Figure(91.0),
        aim_times: 1.0,
        run: transfer::link,
    },
    Workload {
        name: "TURN relaying, 1 allocation",
        unit: "k packets a CPU second",
        better: Better::Higher,
        floor: Goal::Times(1.0),
        aim: Goal::Times(2.0),
        aim_times: 2.0,
        run: relay::one,
    },
    Workload {
        name: "TURN relaying, 50 allocations",
        unit: "k packets a CPU second",
        better: Better::Higher,
        floor: Goal::Times(1.0),
        aim: Goal::Times(2.0),
        aim_times: 2.0,
        run: relay::fifty,
    },
    Workload {
        name: "TURN relaying, 500 allocations",
        unit: "k packets a CPU second",
        better: Better::Higher,
        floor: Goal::Times(1.0),
        aim: Goal::Times(2.0),
        aim_times: 2.0,
        run: relay::five_hundred,
    },
    Workload {
        name: "TURN relaying, 50 allocations, sent in trains",
        unit: "k packets a CPU second",
        better: Better::Higher,
        floor: Goal::Times(1.0),
        aim: Goal::Times(2.0),
        aim_times: 2.0,
        run: relay::fifty_in_trains,
    },
    Workload {
        name: "SRTP protect, AEAD_AES_128_GCM, 1,200 B",
        unit: "ns",
        better: Better::Lower,
        floor: Goal::Times(1.0),
        aim: Goal::Bare(1.1),
        aim_times: 1.0,
        run: srtp::protect_gcm,
    },
    Workload {
        name: "SRTP unprotect, AEAD_AES_128_GCM, 1,200 B",
        unit: "ns",
        better: Better::Lower,
        floor: Goal::Times(1.0),
        aim: Goal::Bare(1.1),
        aim_times: 1.0,
        run: srtp::unprotect_gcm,
    },
    Workload {
        name: "SRTP protect, AES128_CM_HMAC_SHA1_80, 1,200 B",
        unit: "ns",
        better: Better::Lower,
        floor: Goal::Times(1.0),
        aim: Goal::Bare(1.1),
        aim_times: 1.0,
        run: srtp::protect_cm,
    },
    Workload {
        name: "SRTP unprotect, AES128_CM_HMAC_SHA1_80, 1,200 B",
        unit: "ns",
        better: Better::Lower,
        floor: Goal::Times(1.0),
        aim: Goal::Bare(1.1),
        aim_times: 1.0,
        run: srtp::unprotect_cm,
    },
    Workload {
        name: "Forwarding to 10 receivers, 1,200 B, in memory",
        unit: "µs a packet",
        better: Better::Lower,
        floor: Goal::Times(1.0),
        aim: Goal::Figure(0.9),
        aim_times: 5.0,
        run: forward::to_10,
    },
    Workload {
        name: "Forwarding to 100 receivers, 1,200 B, in memory",
        unit: "µs a packet",
        better: Better::Lower,
        floor: Goal::Times(1.0),
        aim: Goal::Figure(1.2),
        aim_times: 5.0,
        run: forward::to_100,
    },
    Workload {
        name: "Forwarding to 10 receivers, a packet at a time",
        unit: "µs a packet",
        better: Better::Lower,
        floor: Goal::Times(1.0),
        aim: Goal::Figure(0.9),
        aim_times: 5.0,
        run: forward_singly::to_10,
    },
    Workload {
        name: "Forwarding to 100 receivers, a packet at a time",
        unit: "µs a packet",
        better: Better::Lower,
        floor: Goal::Times(1.0),
        aim: Goal::Figure(1.2),
        aim_times: 5.0,
        run: forward_singly::to_100,
    },
];
