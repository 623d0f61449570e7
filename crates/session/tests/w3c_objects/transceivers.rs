//! `RTCRtpTransceiver`: stop, stopping, direction, setCodecPreferences, header extension control.

use session::{Codec, Direction, MediaConfig, MediaKind, TransceiverError, TransceiverId, TransceiverInit};
use testkit::epoch;

use crate::both;
use crate::harness::exchange::{lines, negotiate, offer};

fn init(direction: Direction) -> TransceiverInit {
    let mut init = TransceiverInit::default();
    init.direction = direction;
    init
}

#[test]
fn what_is_stopped_before_an_offer_has_no_section_and_later_a_rejected_one() {
    let [mut a, mut b] = both();
    let (audio, video) = (MediaKind::Audio, MediaKind::Video);
    let first = a.add_transceiver(epoch(), audio, init(Direction::SendOnly)).unwrap();
    a.add_transceiver(epoch(), video, TransceiverInit::default()).unwrap();
    a.stop_transceiver(epoch(), first).unwrap();
    assert!(a.transceiver(first).is_none());
    let text = a.create_offer(epoch()).unwrap().to_string();
    assert_eq!(lines(&text, "m=").len(), 1);
    assert!(text.contains("m=video"));
    for direction in [Direction::SendRecv, Direction::SendOnly, Direction::Inactive] {
        let [mut a, mut b] = both();
        let agreed = a.add_transceiver(epoch(), audio, TransceiverInit::default()).unwrap();
        negotiate(&mut a, &mut b);
        let fresh = a.add_transceiver(epoch(), video, TransceiverInit::default()).unwrap();
        a.set_direction(epoch(), agreed, direction).unwrap();
        a.stop_transceiver(epoch(), agreed).unwrap();
        a.stop_transceiver(epoch(), fresh).unwrap();
        let text = a.create_offer(epoch()).unwrap().to_string();
        assert_eq!(lines(&text, "m="), [lines(&text, "m=audio 0 ")[0]], "{direction:?}");
        // Either side may go on.
        negotiate(&mut a, &mut b);
        assert_eq!([a.transceivers().count(), b.transceivers().count()], [0, 0]);
        offer(&mut a);
    }
    // By the other side.
    negotiate(&mut a, &mut b);
    let theirs = b.transceivers().next().unwrap().0;
    b.stop_transceiver(epoch(), theirs).unwrap();
    negotiate(&mut b, &mut a);
    assert_eq!([a.transceivers().count(), b.transceivers().count()], [0, 0]);
    offer(&mut a);
}

#[test]
fn stopping_counts_at_once_is_done_once_and_is_stopped_with_the_next_exchange() {
    let [mut a, mut b] = both();
    let id = a.add_transceiver(epoch(), MediaKind::Audio, TransceiverInit::default()).unwrap();
    negotiate(&mut a, &mut b);
    let agreed = a.transceiver(id).unwrap().current_direction;
    assert!(agreed.is_some());
    for _ in 0..2 {
        a.stop_transceiver(epoch(), id).unwrap();
        let info = a.transceiver(id).unwrap();
        assert!(info.is_stopping);
        assert_eq!((info.direction, info.current_direction), (Direction::Inactive, agreed));
        assert_eq!(a.set_direction(epoch(), id, Direction::SendRecv), Err(TransceiverError::Stopped));
        assert_eq!(a.remove_track(epoch(), id), Err(TransceiverError::Stopped));
        assert_eq!(a.set_streams(epoch(), id, vec![]), Err(TransceiverError::Stopped));
    }
    negotiate(&mut a, &mut b);
    assert!(a.transceiver(id).is_none());
    assert_eq!(a.stop_transceiver(epoch(), id), Ok(()));
    assert_eq!(a.set_direction(epoch(), id, Direction::SendRecv), Err(TransceiverError::Stopped));
}

#[test]
fn nothing_is_changed_of_a_closed_connection() {
    let [mut a, mut b] = both();
    let id = a.add_track(epoch(), MediaKind::Audio, vec![]).unwrap();
    negotiate(&mut a, &mut b);
    let parameters = a.sender_parameters(id).unwrap();
    a.close(epoch());
    let refused = [
        a.set_direction(epoch(), id, Direction::Inactive),
        a.set_streams(epoch(), id, vec!["other".to_owned()]),
        a.remove_track(epoch(), id),
        a.stop_transceiver(epoch(), id),
        a.set_sender_parameters(epoch(), id, parameters),
        a.set_encodings(epoch(), id, vec![]),
    ];
    assert_eq!(refused, [Err(TransceiverError::Closed); 6]);
    assert_eq!(TransceiverError::Closed.name(), "InvalidStateError");
}

#[test]
fn a_direction_is_wanted_at_once_and_agreed_upon_later() {
    let [mut a, mut b] = both();
    let id = a.add_transceiver(epoch(), MediaKind::Audio, init(Direction::RecvOnly)).unwrap();
    let state = |a: &session::Session| {
        let info = a.transceiver(id).unwrap();
        (info.direction, info.current_direction)
    };
    assert_eq!(state(&a), (Direction::RecvOnly, None));
    a.set_direction(epoch(), id, Direction::RecvOnly).unwrap();
    b.add_track(epoch(), MediaKind::Audio, vec![]).unwrap();
    negotiate(&mut a, &mut b);
    assert_eq!(state(&a), (Direction::RecvOnly, Some(Direction::RecvOnly)));
    a.set_direction(epoch(), id, Direction::SendRecv).unwrap();
    assert_eq!(state(&a), (Direction::SendRecv, Some(Direction::RecvOnly)));
}

fn codecs(kind: MediaKind) -> Vec<Codec> {
    MediaConfig::default().codecs.into_iter().filter(|codec| codec.kind == kind).collect()
}

#[test]
fn codecs_are_preferred_that_there_are_and_no_others() {
    let [mut a, _] = both();
    let audio = a.add_transceiver(epoch(), MediaKind::Audio, TransceiverInit::default()).unwrap();
    let video = a.add_transceiver(epoch(), MediaKind::Video, TransceiverInit::default()).unwrap();
    let all = codecs(MediaKind::Audio);
    let mut reordered = all.clone();
    reordered.swap(0, 1);
    let mut in_capitals = all[0].clone();
    in_capitals.name = all[0].name.to_uppercase().into();
    for good in [all.clone(), [all.clone(), all.clone()].concat(), vec![], reordered, vec![in_capitals]] {
        assert_eq!(a.set_codec_preferences(audio, good.clone()), Ok(()), "{good:?}");
    }
    // As it is spelt here, and once.
    let text = a.create_offer(epoch()).unwrap().to_string();
    assert!(lines(&text, "m=audio")[0].ends_with(" 111"), "{text}");
    assert!(text.contains("a=rtpmap:111 opus/48000/2"));
    let changed = |change: fn(&mut Codec)| {
        let mut codecs = codecs(MediaKind::Audio);
        change(&mut codecs[0]);
        codecs
    };
    let unknown = Codec::new(MediaKind::Audio, "piepiper", 2000, 100).unwrap();
    for wrong in [
        codecs(MediaKind::Video),
        vec![unknown.clone()],
        [all, vec![unknown]].concat(),
        changed(|codec| codec.channels += 1),
        changed(|codec| codec.clock_rate += 1),
        changed(|codec| codec.parameters = "minptime=11".into()),
    ] {
        let refused = a.set_codec_preferences(audio, wrong.clone());
        assert_eq!(refused, Err(TransceiverError::UnknownCodec), "{wrong:?}");
    }
    assert_eq!(TransceiverError::UnknownCodec.name(), "InvalidModificationError");
    assert!(a.set_codec_preferences(video, codecs(MediaKind::Video)).is_ok());
}

/// Such that are only there to repair others.
#[test]
fn codecs_that_only_repair_others_are_not_preferred_alone() {
    let mut config = crate::config(0);
    let mut media = MediaConfig::default();
    media.codecs.extend([Codec::red().unwrap()]);
    media.codecs.extend(Codec::ulpfec().unwrap());
    media.codecs.push(Codec::new(MediaKind::Video, "flexfec-03", 90_000, 118).unwrap());
    media.codecs.push(Codec::new(MediaKind::Audio, "CN", 8000, 13).unwrap());
    let all = media.codecs.clone();
    config.media = Some(std::sync::Arc::new(media));
    let mut a = session::Session::new(epoch(), crate::harness::CLOCK, config, [1; 32]).unwrap();
    for (kind, main, helpers) in [
        (MediaKind::Audio, "opus", ["red", "CN"].as_slice()),
        (MediaKind::Video, "VP8", ["red", "ulpfec", "flexfec-03"].as_slice()),
    ] {
        let id = a.add_transceiver(epoch(), kind, TransceiverInit::default()).unwrap();
        let named = |name: &str| all.iter().find(|it| it.kind == kind && it.name == name).unwrap().clone();
        let mut chosen: Vec<Codec> = helpers.iter().map(|name| named(name)).collect();
        assert_eq!(a.set_codec_preferences(id, chosen.clone()), Err(TransceiverError::UnknownCodec));
        chosen.push(named(main));
        assert_eq!(a.set_codec_preferences(id, chosen), Ok(()));
    }
}

fn kinds(a: &session::Session, id: TransceiverId) -> Vec<session::ExtensionKind> {
    a.transceiver(id).unwrap().negotiated.unwrap().extensions.iter().map(|(_, kind)| kind).collect()
}

#[test]
fn header_extensions_are_offered_and_answered_as_far_as_a_transceiver_wants_them() {
    use session::ExtensionKind::{AbsSendTime, AudioLevel, Mid, Rid, TransportSequence, VideoOrientation};
    let [mut a, mut b] = both();
    let id = a.add_transceiver(epoch(), MediaKind::Audio, TransceiverInit::default()).unwrap();
    let all = a.header_extensions(id).unwrap();
    assert_eq!(all, [Mid, AbsSendTime, TransportSequence, AudioLevel]);
    // The name of the section is not left out, and none is there that the configuration lacks.
    for wrong in [vec![], vec![AudioLevel], vec![Mid, VideoOrientation], vec![Mid, Rid]] {
        let refused = a.set_header_extensions(id, wrong).unwrap_err();
        assert_eq!(refused.name(), "InvalidModificationError");
        assert_eq!(a.header_extensions(id).unwrap(), all);
    }
    a.set_header_extensions(id, vec![AudioLevel, Mid, AudioLevel]).unwrap();
    assert_eq!(a.header_extensions(id).unwrap(), [Mid, AudioLevel]);
    let [offer, _] = negotiate(&mut a, &mut b);
    assert_eq!(lines(&offer.to_string(), "a=extmap:").len(), 2);
    assert_eq!(kinds(&a, id), kinds(&b, b.transceivers().next().unwrap().0));
    assert_eq!(kinds(&a, id).len(), 2);
    // The answering side, too, chooses; and what is wanted anew comes with the next exchange.
    let theirs = b.transceivers().next().unwrap().0;
    b.set_header_extensions(theirs, vec![Mid, TransportSequence]).unwrap();
    a.set_header_extensions(id, all.clone()).unwrap();
    assert_eq!(kinds(&a, id).len(), 2, "not before the next exchange");
    negotiate(&mut a, &mut b);
    let agreed = kinds(&a, id);
    assert!(agreed.len() == 2 && agreed.contains(&Mid) && agreed.contains(&TransportSequence), "{agreed:?}");
    assert_eq!(a.header_extensions(id).unwrap(), all);
    a.stop_transceiver(epoch(), id).unwrap();
    assert_eq!(a.set_header_extensions(id, all), Err(TransceiverError::Stopped));
}
