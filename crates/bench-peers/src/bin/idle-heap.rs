//! Prints the heap of an idle connected peer of each stack, in bytes. A program of its own, because it counts
//! every allocation.

use allocation_counter::measure;
use bench_peers::nodes::ours::Ours;
use bench_peers::nodes::rtc::Rtc;
use bench_peers::nodes::str0m::Str0m;
use bench_peers::pair::{Node, Pair};
use bench_peers::workloads::heap_of_idle_ends;

fn main() {
    // What our node lends to its session for sending is the driver's, and there is one for all sessions.
    println!("Peerline {}", heap(Ours::pair) - 65_000);
    println!("str0m {}", heap(Str0m::pair));
    println!("rtc {}", heap(Rtc::pair));
}

fn heap<N: Node>(pair: fn(usize) -> Pair<N>) -> i64 {
    heap_of_idle_ends(50, || pair(128 << 10), |run| measure(run).bytes_current)
}
