//! Where things stand in a packet. Nothing is copied.
#![deny(clippy::arithmetic_side_effects)]

mod rtcp;
mod rtp;

pub(crate) use rtcp::{RTCP_HEADER_LEN, RtcpHeader};
pub(crate) use rtp::{EXTENSION_HEADER_LEN, FIXED_HEADER_LEN, ONE_BYTE, RtpHeader, TWO_BYTE};
