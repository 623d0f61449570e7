//! Reading never panics, what was read is written to the byte, and changes leave it readable.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sdp::{Attribute, Lines, SessionDescription};

fuzz_target!(|text: &str| {
    if let Ok(lines) = Lines::parse(text) {
        assert_eq!(lines.to_string(), text);
        assert_eq!(lines.iter().count(), text.lines().count());
    }
    let Ok(mut description) = SessionDescription::parse(text) else { return };
    assert_eq!(description.to_string(), text);
    read(&description);

    // Every attribute alone is read and written alike, but for blanks at its end.
    for attribute in description.attributes().chain(description.media().flat_map(|media| media.attributes()))
    {
        let written = attribute.to_string();
        assert_eq!(Attribute::parse(&written), Ok(attribute));
    }

    let count = description.media().len();
    let sections = || [None].into_iter().chain((0..count).map(Some));
    for section in sections() {
        description.add_attribute(section, Attribute::Other("x-added", Some("1")));
        description.set_attribute(section, Attribute::Other("x-added", Some("2")));
        description.set_attribute(section, Attribute::TlsId("abcdefghijklmnopqrst"));
    }
    read(&description);
    let changed = description.to_string();
    // It may have grown past a limit, but not past sense.
    if let Ok(again) = SessionDescription::parse(&changed) {
        assert_eq!(again.to_string(), changed);
        assert_eq!(again.media().len(), description.media().len());
    }
    for section in sections() {
        assert!(description.remove_attributes(section, "x-added") >= 1);
        assert_eq!(description.remove_attributes(section, "x-added"), 0);
    }
    read(&description);
});

/// Calls everything that can be asked of a description.
fn read(description: &SessionDescription) {
    let _ = (description.origin(), format!("{description:?}"));
    description.bundle_groups().for_each(|mids| mids.for_each(|mid| _ = description.media_by_mid(mid)));
    for media in description.media() {
        let _ = (media.index(), media.kind(), media.kind_text(), media.port(), media.protocol(), media.mid());
        let _ = (media.formats().count(), media.is_rejected(), media.ice_ufrag(), media.ice_pwd());
        let _ = (media.has_ice_option("trickle"), media.is_ice_lite(), media.has_end_of_candidates());
        let _ = (media.setup(), media.tls_id(), media.sctp_port(), media.max_message_size());
        let _ = (media.direction(), media.is_data_channels(), media.attributes().count());
        for candidate in media.candidates() {
            assert!(candidate.starts_with("candidate:"));
        }
        for print in media.fingerprints() {
            let digest: Vec<u8> = print.bytes().collect();
            assert!(print.matches(&digest));
            let _ = (print.algorithm(), sdp::Fingerprint::text_of(&digest));
        }
    }
}
