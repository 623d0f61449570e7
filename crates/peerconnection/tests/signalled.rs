//! Descriptions and candidates in JSON, as browsers write and read them.
#![cfg(feature = "serde")]
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use peerline::{Description, IceCandidate, SdpType};
use serde_json::json;

const SDP: &str = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n";

#[test]
fn descriptions_are_read_and_written_as_browsers_have_them() {
    for (name, kind) in
        [("offer", SdpType::Offer), ("answer", SdpType::Answer), ("pranswer", SdpType::Pranswer)]
    {
        let text = json!({ "type": name, "sdp": SDP }).to_string();
        let read: Description = serde_json::from_str(&text).unwrap();
        assert_eq!((read.kind, read.sdp.to_string()), (kind, SDP.to_owned()));
        assert_eq!(serde_json::to_value(&read).unwrap(), json!({ "type": name, "sdp": SDP }));
    }
    for (wrong, reason) in [
        (json!({ "type": "rollback", "sdp": "" }), "unknown variant `rollback`"),
        (json!({ "type": "offer" }), "missing field `sdp`"),
        (json!({ "type": "offer", "sdp": "v=0\r\nhello" }), "line 2: "),
    ] {
        let error = serde_json::from_value::<Description>(wrong).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
}

#[test]
fn candidates_are_read_and_written_as_browsers_have_them() {
    let of_browser = json!({
        "candidate": "candidate:1 1 udp 2113937151 192.0.2.1 4000 typ host",
        "sdpMid": "0",
        "sdpMLineIndex": 0,
        "usernameFragment": "abcd",
    });
    let read: IceCandidate = serde_json::from_value(of_browser.clone()).unwrap();
    assert_eq!((read.sdp_mid.as_deref(), read.sdp_m_line_index), (Some("0"), Some(0)));
    assert_eq!(read.username_fragment.as_deref(), Some("abcd"));
    assert_eq!(serde_json::to_value(&read).unwrap(), of_browser);
    // The last, as browsers leave out what they do not know.
    let last = r#"{"candidate":"","sdpMid":null}"#;
    assert_eq!(serde_json::from_str::<IceCandidate>(last).unwrap(), IceCandidate::default());
}
