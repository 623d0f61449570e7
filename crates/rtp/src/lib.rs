//! RTP, RTCP, header extensions and payload formats.

pub mod payload;
