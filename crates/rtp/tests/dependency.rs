//! Dependency descriptors, against a capture of Chromium and against themselves.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is how a test fails")]

mod support;

use proptest::prelude::*;
use rtp::DecodeError;
use rtp::extension::{
    Chain, DependencyDescriptor, FrameDiffs, Indication, MAX_DECODE_TARGETS, MAX_FRAME_DIFFS, MAX_TEMPLATES,
    Mandatory, Resolution, Structure, Template,
};
use support::{hex, written};

/// The first packet of an AV1 stream of three by three layers of Chromium's, and some that follow: a capture that
/// LiveKit's tests have too.
const FIRST: &str = "c1017280081485214eafffaaaa863cf0430c10c302afc0aaa0063c00430010c002a000a80006000040001d954926e082b04a\
    0941b820ac1282503157f974000ca864330e222222eca8655304224230eca877530077004200ef008601df010d";
const FOLLOWING: &[&str] = &[
    "86017340fc",
    "46017340fc",
    "c3017540fc",
    "88017640fc",
    "48017640fc",
    "c2017840fc",
    "860173",
    "460173",
    "8b0174",
    "0b0174",
];

fn write(descriptor: &DependencyDescriptor, structure: &Structure) -> Vec<u8> {
    written(|out| descriptor.write(structure, out).unwrap())
}

#[test]
fn a_capture_of_chromium_is_read_and_written_to_the_byte() {
    let mut structure = Structure::default();
    let first = DependencyDescriptor::read(&hex(FIRST), &mut structure).unwrap();
    let mandatory =
        Mandatory { start_of_frame: true, end_of_frame: true, template_id: 1, frame_number: 0x0172 };
    assert_eq!((first.mandatory, first.has_structure), (mandatory, true));
    assert_eq!((structure.decode_targets(), structure.chains()), (9, 3));
    // Layers of three sizes, and of three rates each.
    let last = structure.templates().last().unwrap();
    assert_eq!((last.spatial_id, last.temporal_id), (2, 2));
    assert_eq!((structure.target_layers(0), structure.target_layers(8)), ((0, 0), (2, 2)));
    let sizes: Vec<_> =
        (0..3).map(|at| structure.resolution(at).unwrap()).map(|it| (it.width, it.height)).collect();
    assert_eq!(sizes, [(120, 67), (240, 135), (480, 270)]);
    assert_eq!((first.frame.spatial_id, first.frame.temporal_id), (0, 0));
    assert_eq!(first.active_decode_targets, Some(0x1ff));
    assert_eq!(
        (structure.protected_by(0), structure.protected_by(8), structure.protected_by(9)),
        (Some(0), Some(2), None)
    );
    assert_eq!(write(&first, &structure), hex(FIRST));
    for packet in FOLLOWING {
        let known = structure;
        let descriptor = DependencyDescriptor::read(&hex(packet), &mut structure).unwrap();
        assert!(!descriptor.has_structure && structure == known);
        assert_eq!(write(&descriptor, &structure), hex(packet), "{packet}");
    }
}

#[test]
fn a_descriptor_by_hand_is_read() {
    // Two templates of one target and no chain, the second needs the frame before; the frame is like the second,
    // and needs the one that is 300 back instead.
    let mut bits = String::new();
    for (value, count) in [
        (1, 1),
        (0, 1),
        (5, 6),
        (0x1234, 16), // first packet, template 5, frame
        (1, 1),
        (0, 1),
        (0, 1),
        (1, 1),
        (0, 1), // structure, own distances
        (4, 6),
        (0, 5),
        (0, 2),
        (3, 2), // templates from 4 on, one target, two of the same layer
        (2, 2),
        (3, 2), // switch, required
        (0, 1),
        (1, 1),
        (0, 4),
        (0, 1), // none; one back
        (0, 1), // ns(2) = 0: no chains
        (0, 1), // no sizes
        (3, 2),
        (299, 12),
        (0, 2), // 300 back
    ] {
        bits += &format!("{value:0count$b}");
    }
    bits += &"0".repeat(bits.len().wrapping_neg() % 8);
    let bytes: Vec<u8> =
        (0..bits.len() / 8).map(|at| u8::from_str_radix(&bits[8 * at..8 * at + 8], 2).unwrap()).collect();
    let mut structure = Structure::default();
    let descriptor = DependencyDescriptor::read(&bytes, &mut structure).unwrap();
    assert_eq!(descriptor.mandatory.frame_number, 0x1234);
    assert_eq!(descriptor.frame.frame_diffs.as_slice(), [300]);
    assert_eq!(descriptor.frame.indication(0), Indication::Required);
    assert_eq!(structure.templates()[0].indication(0), Indication::Switch);
    assert_eq!((structure.template(4), structure.template(6)), (Some(&structure.templates()[0]), None));
    assert_eq!((structure.chains(), structure.protected_by(0)), (0, None));
    assert_eq!(write(&descriptor, &structure), bytes);
}

#[test]
fn nothing_is_read_without_its_template() {
    let mut structure = Structure::default();
    let read = DependencyDescriptor::read(&[0x01, 0, 1], &mut structure);
    assert_eq!(read, Err(DecodeError::NoTemplate));
    assert_eq!(Mandatory::read(&[0x41, 0, 1]).unwrap().frame_number, 1);
    assert_eq!(Mandatory::read(&[0x41, 0]), Err(DecodeError::Truncated));
    DependencyDescriptor::read(&hex(FIRST), &mut structure).unwrap();
    assert_eq!(DependencyDescriptor::read(&[0x3f, 0, 1], &mut structure), Err(DecodeError::NoTemplate));
}

#[test]
fn a_structure_that_is_cut_off_takes_nothing_s_place() {
    let bytes = hex(FIRST);
    let known = Structure::new(60, 1, &[Template::new(0, 0, FrameDiffs::default())], &[]).unwrap();
    for len in 0..bytes.len() {
        let mut structure = known;
        // A template that is there in the known structure, so that three bytes alone can be read.
        let mut bytes = bytes[..len].to_vec();
        if len == 3 {
            bytes[0] = 60;
        }
        assert_eq!(DependencyDescriptor::read(&bytes, &mut structure).is_ok(), len == 3, "{len}");
        assert!(structure == known, "{len}");
    }
}

#[test]
fn templates_have_as_many_as_the_limit_and_not_one_more() {
    let templates = vec![Template::default(); MAX_TEMPLATES + 1];
    let most = Structure::new(0, 1, &templates[..MAX_TEMPLATES], &[]).unwrap();
    assert_eq!(Structure::new(0, 1, &templates, &[]), Err(DecodeError::Value));
    let descriptor = DependencyDescriptor {
        mandatory: Mandatory { template_id: 63, ..Mandatory::default() },
        has_structure: true,
        active_decode_targets: Some(1),
        frame: Template::default(),
    };
    let bytes = write(&descriptor, &most);
    let mut read = Structure::default();
    assert_eq!(DependencyDescriptor::read(&bytes, &mut read), Ok(descriptor));
    assert!(read == most);
    // The same with one more: each template's step is two bits, the last of which says that there is no other.
    let mut more = bytes.clone();
    let at = 24 + 5 + 6 + 5 + 2 * (MAX_TEMPLATES - 1);
    (at..at + 2).for_each(|bit| more[bit / 8] &= !(0x80 >> (bit % 8)));
    assert_eq!(DependencyDescriptor::read(&more, &mut read), Err(DecodeError::Value));
}

#[test]
fn frames_need_as_many_as_the_limit_and_not_one_more() {
    let diffs = |count| FrameDiffs::new(&vec![1; count]);
    assert_eq!(diffs(MAX_FRAME_DIFFS + 1), None);
    assert_eq!((FrameDiffs::new(&[0]), FrameDiffs::new(&[4097])), (None, None));
    let structure = Structure::new(0, 1, &[Template::default()], &[]).unwrap();
    let descriptor = DependencyDescriptor {
        mandatory: Mandatory::default(),
        has_structure: false,
        active_decode_targets: None,
        frame: Template::new(0, 0, diffs(MAX_FRAME_DIFFS).unwrap()),
    };
    let mut bytes = write(&descriptor, &structure);
    assert_eq!(DependencyDescriptor::read(&bytes, &mut { structure }), Ok(descriptor));
    // Six bits each behind 24 and 5: another one where the end was.
    let at = 29 + 6 * MAX_FRAME_DIFFS;
    bytes.resize(20, 0);
    bytes[(at + 1) / 8] |= 0x80 >> ((at + 1) % 8);
    assert_eq!(DependencyDescriptor::read(&bytes, &mut { structure }), Err(DecodeError::Value));
}

#[test]
fn structures_that_cannot_be_are_refused() {
    let layer = |spatial, temporal| Template::new(spatial, temporal, FrameDiffs::default());
    let new = |offset, targets, templates: &[Template], chains: &[u8]| {
        Structure::new(offset, targets, templates, chains).map(|_| ())
    };
    assert_eq!(new(63, 32, &[layer(0, 0), layer(0, 0), layer(0, 1), layer(1, 0)], &[0; 32]), Ok(()));
    for (offset, targets, templates, chains) in [
        (64, 1, vec![layer(0, 0)], vec![]),
        (0, 0, vec![layer(0, 0)], vec![]),
        (0, 33, vec![layer(0, 0)], vec![]),
        (0, 1, vec![], vec![]),
        (0, 1, vec![layer(0, 1)], vec![]),
        (0, 1, vec![layer(0, 0), layer(1, 1)], vec![]),
        (0, 1, vec![layer(0, 0), layer(0, 2)], vec![]),
        (0, 2, vec![layer(0, 0)], vec![0]),
        (0, 1, vec![layer(0, 0)], vec![1]),
        (0, 1, vec![layer(0, 0)], vec![0; MAX_DECODE_TARGETS + 1]),
    ] {
        assert_eq!(
            new(offset, targets, &templates, &chains),
            Err(DecodeError::Value),
            "{offset} {targets} {templates:?}"
        );
    }
    let steps: Vec<Template> = (0..9).map(|temporal| layer(0, temporal)).collect();
    assert_eq!(new(0, 1, &steps[..8], &[]), Ok(()));
    assert_eq!(new(0, 1, &steps, &[]), Err(DecodeError::Value));
}

fn indication() -> impl Strategy<Value = Indication> {
    prop::sample::select(vec![
        Indication::NotPresent,
        Indication::Discardable,
        Indication::Switch,
        Indication::Required,
    ])
}

prop_compose! {
    fn structure()(
        offset in 0..64_u8,
        targets in 1..=32_u8,
        steps in prop::collection::vec(0..3_u8, 0..20),
        indications in prop::collection::vec(prop::collection::vec(indication(), 32), 21),
        diffs in prop::collection::vec(prop::collection::vec(1..=16_u16, 0..4), 21),
        chains in prop::collection::vec(prop::collection::vec(0..16_u8, 32), 21),
        chain_count in 0..=32_u8,
        sizes in prop::option::of(prop::array::uniform4((1..=65_536_u32, 1..=65_536_u32))),
    ) -> Structure {
        let chain_count = chain_count.min(targets);
        let (mut spatial, mut temporal) = (0, 0);
        let mut layers = vec![(0, 0)];
        for step in steps {
            match step {
                1 if temporal < 7 => temporal += 1,
                2 if spatial < 3 => (spatial, temporal) = (spatial + 1, 0),
                _ => {}
            }
            layers.push((spatial, temporal));
        }
        let templates: Vec<Template> = layers.iter().enumerate().map(|(at, (spatial, temporal))| {
            let chains: Vec<Chain> = chains[at][..usize::from(chain_count)].iter().map(|diff| Chain(*diff)).collect();
            Template::new(*spatial, *temporal, FrameDiffs::new(&diffs[at]).unwrap())
                .with_indications(&indications[at][..usize::from(targets)])
                .with_chains(&chains)
        }).collect();
        // The last chain is used, so that there are as many as there are.
        let protected: Vec<u8> = if chain_count == 0 { vec![] } else { (0..targets).rev().map(|at| at % chain_count).collect() };
        let structure = Structure::new(offset, targets, &templates, &protected).unwrap();
        match sizes {
            Some(sizes) => {
                let sizes = sizes.map(|(width, height)| Resolution { width, height });
                structure.with_resolutions(&sizes[..=usize::from(spatial)])
            }
            None => structure,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn descriptors_come_back_as_they_were(
        structure in structure(), start: bool, end: bool, has_structure: bool, pick: u8, frame_number: u16,
        targets: Option<u32>, own in prop::collection::vec(indication(), 32),
        diffs in prop::collection::vec(1..=4096_u16, 0..=8), chains in prop::collection::vec(any::<u8>(), 32), custom: [bool; 3],
    ) {
        let at = usize::from(pick) % structure.templates().len();
        let offset = (0..64).find(|id| structure.template(*id) == structure.templates().first()).unwrap();
        let mut frame = structure.templates()[at];
        if custom[0] {
            frame = frame.with_indications(&own[..usize::from(structure.decode_targets())]);
        }
        if custom[1] {
            frame.frame_diffs = FrameDiffs::new(&diffs).unwrap();
        }
        if custom[2] {
            let chains: Vec<Chain> = chains.iter().map(|diff| Chain(*diff)).collect();
            frame = frame.with_chains(&chains[..usize::from(structure.chains())]);
        }
        let all = u32::MAX >> (32 - structure.decode_targets());
        let targets = targets.map(|targets| targets & all);
        let template_id = (offset + u8::try_from(at).unwrap()) % 64;
        let descriptor = DependencyDescriptor {
            mandatory: Mandatory { start_of_frame: start, end_of_frame: end, template_id, frame_number },
            has_structure,
            active_decode_targets: if has_structure { Some(targets.unwrap_or(all)) } else { targets },
            frame,
        };
        // A template that is found by its content may be one that is like another.
        prop_assume!(structure.template(template_id) == Some(&structure.templates()[at]));
        let bytes = write(&descriptor, &structure);
        let mut known = if has_structure { Structure::default() } else { structure };
        prop_assert_eq!(DependencyDescriptor::read(&bytes, &mut known), Ok(descriptor));
        prop_assert!(known == structure);
    }

    #[test]
    fn any_bytes_are_refused_or_come_back(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        let mut structure = Structure::default();
        DependencyDescriptor::read(&hex(FIRST), &mut structure).unwrap();
        if let Ok(descriptor) = DependencyDescriptor::read(&bytes, &mut structure) {
            let again = written(|out| descriptor.write(&structure, out).unwrap());
            let mut read = structure;
            prop_assert_eq!(DependencyDescriptor::read(&again, &mut read), Ok(descriptor));
            prop_assert!(read == structure);
        }
    }
}
