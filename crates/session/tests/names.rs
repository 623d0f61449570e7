//! Whole sessions whose host addresses are hidden behind `.local` names (THREATS I12).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    unreachable_pub,
    reason = "a panic is how a test fails"
)]

mod harness;

use std::time::Duration;

use harness::{Two, config};
use session::{Event, LocalName, NameFailure};

fn name(side: u8) -> LocalName {
    format!("{side:08x}-0000-4000-8000-000000000000.local").parse().unwrap()
}

/// Each side hides where it is, or one does; the other may resolve.
fn two(hides: [bool; 2]) -> Two {
    Two::with(
        [0, 1].map(|side| {
            let mut config = config(side);
            config.resolves_names = true;
            if hides[usize::from(side)] {
                config.host_names = Some(vec![(config.local_addresses[0].ip(), name(side))].into());
            }
            config
        }),
        harness::near(),
    )
}

/// Answers for the names, as multicast DNS would.
fn answer(two: &mut Two) {
    let now = two.now();
    for side in 0..2 {
        while let Some(asked) = two.session(side).poll_name() {
            let owner = [0, 1].into_iter().find(|owner| name(*owner) == asked).unwrap();
            let address = config(owner).local_addresses[0].ip();
            two.session(side).name_resolved(now, &asked, address);
        }
    }
}

#[test]
fn sessions_that_hide_their_addresses_meet_and_tell_them_to_nobody() {
    for hides in [[true, false], [false, true], [true, true]] {
        let mut two = two(hides);
        let now = two.now();
        let ours = two.session(0).open_channel(now, session::ChannelInit::labelled("chat")).unwrap();
        two.negotiate(0);
        assert!(two.run(Duration::from_secs(10), |two| {
            answer(two);
            two.is_connected()
        }));
        let theirs = two.incoming(1);
        two.echo(ours, theirs);
        let now = two.now();
        for (side, hides) in hides.into_iter().enumerate().filter(|(_, hides)| *hides) {
            let address = config(u8::try_from(side).unwrap()).local_addresses[0].ip().to_string();
            // By neither end: what the peer knows is as unsaid there.
            for end in 0..2 {
                let description = two.session(end).local_description().unwrap().1.to_string();
                let (stats, report) = (two.session(end).stats(now), two.session(end).report(now));
                for text in [description, format!("{stats:?}"), format!("{report}{report:?}")] {
                    assert!(!text.contains(&address), "{side} at {end}: {text}");
                }
            }
            let events: Vec<String> = two.seen[side].iter().map(|event| format!("{event:?}")).collect();
            assert!(events.iter().all(|event| !event.contains(&address)), "{events:?}");
            let told = two.seen[side]
                .iter()
                .any(|event| matches!(event, Event::Candidate(found) if found.candidate.contains(".local")));
            assert!(hides && told);
        }
    }
}

#[test]
fn a_name_that_nobody_answers_for_is_in_the_report_with_what_to_try() {
    let mut two = two([true, true]);
    let now = two.now();
    two.session(0).open_channel(now, session::ChannelInit::labelled("chat")).unwrap();
    two.negotiate(0);
    two.run(Duration::from_secs(1), |_| false);
    for (failure, says) in [
        (NameFailure::NoAnswer, "try: Nobody on this network answers"),
        (NameFailure::Unavailable, "multicast DNS does not work here"),
    ] {
        let now = two.now();
        two.session(0).name_failed(now, &name(1), failure);
        let report = two.session(0).report(now).to_string();
        assert!(report.contains(says), "{report}");
    }
}
