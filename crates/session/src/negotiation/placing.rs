//! Which transport a section has: its own, or that of its bundle (RFC 9429 §4.1.1 and §5.2, RFC 9143 §7).

use std::collections::BTreeSet;

use super::{Negotiation, Section, SectionKind};
use crate::config::BundlePolicy;
use crate::transports::TransportId;

/// What offers are placed by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Placing {
    pub policy: BundlePolicy,
    /// Transports at a time.
    pub max_transports: usize,
    /// The next that is made.
    pub next: TransportId,
}

impl Placing {
    /// A new one, if there may be one more.
    fn make(&mut self, used: &mut BTreeSet<TransportId>) -> Option<TransportId> {
        if used.len() >= self.max_transports.max(1) {
            return None;
        }
        let made = self.next;
        self.next = TransportId(made.0.wrapping_add(1));
        used.insert(made);
        Some(made)
    }
}

impl Negotiation {
    /// Gives each section of an offer that has none a transport: one of its own where the policy says so, and otherwise
    /// that of the section that the bundle names first.
    pub(super) fn place_offer(&self, plan: &mut [Section], placing: &mut Placing) {
        self.pass_tags_on(plan);
        let mut used = self.transports_of(plan);
        used.extend(self.transports_of(&self.agreed));
        let has_room = used.len() < placing.max_transports.max(1);
        let head = self.head_of(plan, placing.policy, has_room);
        // What others share comes first.
        let order = head.into_iter().chain((0..plan.len()).filter(|index| Some(*index) != head));
        let mut shared = None;
        for index in order {
            let Some(section) = plan.get(index).filter(|section| self.is_offered(section)) else { continue };
            if section.transport.is_none() {
                let is_head = Some(index) == head;
                let own = is_head || self.has_own(plan, index, placing.policy);
                let known = || self.offered_before(index, section);
                let own = if own { known().or_else(|| placing.make(&mut used)) } else { None };
                used.extend(own);
                let Some(section) = plan.get_mut(index) else { continue };
                section.is_tag = own.is_some();
                section.transport = own.or(shared);
            }
            if Some(index) == head {
                shared = plan.get(index).and_then(|section| section.transport);
            }
        }
    }

    /// Whether the policy gives a new section a transport of its own.
    fn has_own(&self, plan: &[Section], index: usize, policy: BundlePolicy) -> bool {
        let Some(section) = plan.get(index) else { return false };
        let is_first_of_kind = || {
            let kind = self.kind_name(section);
            let mut others = plan
                .iter()
                .enumerate()
                .filter(|(other, it)| *other != index && self.is_offered(it) && self.kind_name(it) == kind);
            // One behind it that has a transport was there before.
            others.all(|(other, it)| other > index && !self.was_agreed(other, it))
        };
        match policy {
            BundlePolicy::MaxBundle => false,
            BundlePolicy::Balanced => is_first_of_kind(),
            BundlePolicy::MaxCompat => true,
        }
    }

    /// The transport that an offer has for this section which was created before, and not set: making offers changes
    /// nothing.
    fn offered_before(&self, index: usize, section: &Section) -> Option<TransportId> {
        let before = self.created.as_ref()?.plan.get(index)?;
        before.transport.filter(|_| before.is_tag && before.mid == section.mid && before.kind == section.kind)
    }

    /// The section that a bundle of these names first, and whose transport those have who have none of their own
    /// (RFC 9143 §7.2): one that is bundled already, or else one that is new, or else any.
    fn head_of(&self, plan: &[Section], policy: BundlePolicy, has_room: bool) -> Option<usize> {
        let live = || (0..plan.len()).filter(|index| self.is_live(plan.get(*index)));
        let is = |index: &usize, wanted: &dyn Fn(&Section) -> bool| plan.get(*index).is_some_and(wanted);
        let was_agreed = |index: &usize| is(index, &|section| self.was_agreed(*index, section));
        let bundled = live().find(|index| was_agreed(index) && is(index, &|it| it.is_tag && it.is_bundled));
        let agreed = || live().find(|index| was_agreed(index) && is(index, &|it| it.is_tag));
        let has_own = |index: &usize| {
            let is_placed = is(index, &|it| it.transport.is_some());
            let is_own =
                if is_placed { is(index, &|it| it.is_tag) } else { self.has_own(plan, *index, policy) };
            is_own && (is_placed || has_room)
        };
        let new = || live().find(|index| !was_agreed(index) && has_own(index));
        bundled
            .or_else(|| new().filter(|_| policy != BundlePolicy::MaxBundle))
            .or_else(agreed)
            .or_else(|| live().next())
    }

    /// The bundles of an offer, each with the section first whose transport is used: those that the last answer had, as far
    /// as they are still alive, and what is new in the first (RFC 9429 §5.2.2).
    pub(super) fn groups_of(&self, plan: &[Section], policy: BundlePolicy) -> Vec<Vec<usize>> {
        let Some(head) = self.head_of(plan, policy, true) else { return Vec::new() };
        let transport_of = |index: usize| plan.get(index).and_then(|section| section.transport);
        let mut groups = vec![vec![head]];
        for (index, section) in plan.iter().enumerate() {
            if index == head || !self.is_live(Some(section)) {
                continue;
            }
            let is_new = !self.was_agreed(index, section);
            if is_new || policy == BundlePolicy::MaxBundle || section.transport == transport_of(head) {
                groups.iter_mut().take(1).for_each(|group| group.push(index));
            } else if section.is_bundled {
                let is_it = |group: &&mut Vec<usize>| {
                    group.first().is_some_and(|first| transport_of(*first) == section.transport)
                };
                match groups.iter_mut().skip(1).find(is_it) {
                    Some(group) if section.is_tag => group.insert(0, index),
                    Some(group) => group.push(index),
                    None => groups.push(vec![index]),
                }
            }
        }
        // What the last answer had in no bundle is in none, unless others are to join it.
        let is_apart = |index: &usize| {
            let apart = plan.get(*index).filter(|section| !section.is_bundled);
            apart.is_some_and(|section| self.was_agreed(*index, section))
        };
        let keeps = policy == BundlePolicy::MaxBundle;
        groups.retain(|group| keeps || group.len() > 1 || !group.first().is_some_and(is_apart));
        groups
    }

    /// Where the section whose transport is used is rejected or stopped, the next one takes its place.
    pub(super) fn pass_tags_on(&self, plan: &mut [Section]) {
        let mut tagged: BTreeSet<TransportId> = plan
            .iter()
            .filter(|section| section.is_tag && self.is_offered(section))
            .filter_map(|section| section.transport)
            .collect();
        for index in 0..plan.len() {
            let Some(section) = plan.get(index).filter(|section| self.is_offered(section)) else { continue };
            let takes = section.transport.is_some_and(|transport| tagged.insert(transport));
            if let Some(section) = plan.get_mut(index).filter(|_| takes) {
                section.is_tag = true;
            }
        }
    }

    /// The transports of these sections.
    pub(super) fn transports_of(&self, sections: &[Section]) -> BTreeSet<TransportId> {
        let live = sections.iter().filter(|section| !section.is_rejected());
        live.filter_map(|section| section.transport).collect()
    }

    /// Whether a section, agreed or offered or about to be, has this transport.
    pub(crate) fn uses(&self, id: TransportId) -> bool {
        let created = self.created.iter().flat_map(|created| &created.plan);
        let all = self.agreed.iter().chain(&self.sections).chain(created);
        all.filter(|section| !section.is_rejected()).any(|section| section.transport == Some(id))
    }

    /// Whether a section of an offer is one that was agreed upon, and no other that has taken its place.
    pub(super) fn was_agreed(&self, index: usize, section: &Section) -> bool {
        self.agreed.get(index).is_some_and(|agreed| agreed.mid == section.mid && !agreed.is_rejected())
    }

    pub(super) fn kind_name<'a>(&'a self, section: &'a Section) -> &'a str {
        match &section.kind {
            SectionKind::Data => "application",
            SectionKind::Rejected(line) => &line.kind,
            SectionKind::Media(_) | SectionKind::Refused(_) => self.kind_of_section(section),
        }
    }
}
