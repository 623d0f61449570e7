//! Peerline beside other stacks. Every workload checks its results: what is compared does the same work.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::cast_precision_loss,
    clippy::missing_panics_doc,
    missing_docs,
    reason = "a bench: a panic is how it fails"
)]

pub mod link;
pub mod measure;
pub mod nodes;
pub mod pair;
pub mod plot;
pub mod report;
pub mod workloads;
