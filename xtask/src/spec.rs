//! Requirements and what shows that they hold: `docs/rfc/*.toml`.
//!
//! A file lists the requirements of one RFC, rows of the list of threats, or limits, in our own words. Each names the tests
//! that show it, or the reason why it does not apply.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::Result;
use crate::command::root;
use crate::interop;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    rfc: Option<u32>,
    title: Option<String>,
    #[serde(default)]
    requirement: Vec<Requirement>,
    #[serde(default)]
    row: Vec<Row>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Requirement {
    section: String,
    level: String,
    text: String,
    #[serde(rename = "crate")]
    owner: String,
    #[serde(default)]
    tests: Vec<String>,
    reason: Option<String>,
}

/// A row of the list of threats.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Row {
    pub(crate) id: String,
    pub(crate) text: String,
    #[serde(rename = "crate")]
    owner: String,
    #[serde(default)]
    pub(crate) tests: Vec<String>,
    reason: Option<String>,
}

/// How many requirements of a crate are shown, excepted, and neither.
#[derive(Clone, Copy, Default)]
struct Count {
    covered: usize,
    excepted: usize,
    missing: usize,
}

pub(crate) fn check() -> Result {
    let tests = Tests::find()?;
    let mut problems = Vec::new();
    let mut counts: BTreeMap<(String, String), Count> = BTreeMap::new();
    let mut seen: BTreeSet<String> = BTreeSet::new();
    for (name, document) in documents()? {
        if document.rfc.is_some() != document.title.is_some() {
            problems.push(format!("{name}: `rfc` and `title` belong together"));
        }
        if let Some(rfc) = document.rfc {
            seen.insert(format!("RFC {rfc}"));
        }
        for it in &document.requirement {
            let place = format!("{name}: {} {:?}", it.section, it.text);
            if !["MUST", "MUST NOT"].contains(&it.level.as_str()) || it.section.is_empty() {
                problems.push(format!("{place}: needs a section and the level MUST or MUST NOT"));
            }
            let count = counts.entry((name.clone(), it.owner.clone())).or_default();
            judge(&place, &it.owner, &it.tests, it.reason.as_deref(), &tests, count, &mut problems);
        }
        for it in &document.row {
            let place = format!("{name}: {} {:?}", it.id, it.text);
            if !seen.insert(it.id.clone()) {
                problems.push(format!("{place}: stands there twice"));
            }
            let count = counts.entry((name.clone(), it.owner.clone())).or_default();
            judge(&place, &it.owner, &it.tests, it.reason.as_deref(), &tests, count, &mut problems);
        }
    }
    print(&counts);
    let absent: Vec<String> = in_scope().into_iter().filter(|id| !seen.contains(id)).collect();
    if !absent.is_empty() {
        problems.push(format!("not there at all: {}", absent.join(", ")));
    }
    if problems.is_empty() { Ok(()) } else { Err(problems.join("\n")) }
}

/// All rows of the list of threats, of all files.
pub(crate) fn rows() -> Result<Vec<Row>> {
    let threats = documents()?.into_iter().filter(|(name, _)| name.starts_with("threats"));
    Ok(threats.flat_map(|(_, document)| document.row).collect())
}

fn documents() -> Result<Vec<(String, Document)>> {
    let folder = root().join("docs/rfc");
    let mut documents = Vec::new();
    let entries = fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    for path in entries.flatten().map(|entry| entry.path()) {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if !name.ends_with(".toml") {
            continue;
        }
        let text = fs::read_to_string(&path).map_err(|error| format!("{name}: {error}"))?;
        documents.push((name.clone(), toml::from_str(&text).map_err(|error| format!("{name}: {error}"))?));
    }
    documents.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(documents)
}

fn judge(
    place: &str,
    owner: &str,
    names: &[String],
    reason: Option<&str>,
    tests: &Tests,
    count: &mut Count,
    problems: &mut Vec<String>,
) {
    if !root().join("crates").join(owner).is_dir() {
        problems.push(format!("{place}: there is no crate {owner}"));
    }
    for name in names.iter().filter(|name| !tests.contains(name)) {
        problems.push(format!("{place}: there is no test {name}"));
    }
    match (names.is_empty(), reason.is_some_and(|reason| !reason.trim().is_empty())) {
        (false, _) => count.covered += 1,
        (true, true) => count.excepted += 1,
        (true, false) => {
            count.missing += 1;
            problems.push(format!("{place}: neither a test nor a reason"));
        }
    }
}

fn print(counts: &BTreeMap<(String, String), Count>) {
    println!("{:<24} {:<16} {:>8} {:>9} {:>8}", "file", "crate", "covered", "excepted", "missing");
    let mut all = Count::default();
    for ((file, owner), count) in counts {
        let Count { covered, excepted, missing } = *count;
        println!("{file:<24} {owner:<16} {covered:>8} {excepted:>9} {missing:>8}");
        all.covered += covered;
        all.excepted += excepted;
        all.missing += missing;
    }
    println!("{:<24} {:<16} {:>8} {:>9} {:>8}", "all", "", all.covered, all.excepted, all.missing);
}

/// What can be named as a proof.
struct Tests {
    /// `crate/path/to/file.rs::test`.
    functions: BTreeSet<String>,
    fuzz: BTreeSet<String>,
    interop: Vec<String>,
}

impl Tests {
    fn find() -> Result<Self> {
        let mut functions = BTreeSet::new();
        let crates = root().join("crates");
        for path in rust_files(&crates)? {
            let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
            let file = path.strip_prefix(&crates).map_err(|error| error.to_string())?.display().to_string();
            functions.extend(test_names(&text).map(|name| format!("{file}::{name}")));
        }
        let targets = rust_files(&root().join("fuzz/fuzz_targets"))?;
        let stem = |path: PathBuf| Some(format!("fuzz::{}", path.file_stem()?.to_string_lossy()));
        Ok(Self {
            functions,
            fuzz: targets.into_iter().filter_map(stem).collect(),
            interop: interop::in_ci().iter().map(|name| format!("interop::{name}")).collect(),
        })
    }

    fn contains(&self, name: &str) -> bool {
        let interop = |pattern: &String| match pattern.strip_suffix('*') {
            Some(head) => name.starts_with(head),
            None => pattern == name,
        };
        self.functions.contains(name) || self.fuzz.contains(name) || self.interop.iter().any(interop)
    }
}

/// The functions of a source file that are tests.
fn test_names(text: &str) -> impl Iterator<Item = &str> {
    let mut marked = false;
    text.lines().filter_map(move |line| {
        let line = line.trim_start();
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            marked = true;
        } else if let Some((_, rest)) = line.split_once("fn ").filter(|_| marked) {
            marked = false;
            return rest.split(|letter: char| !letter.is_alphanumeric() && letter != '_').next();
        }
        None
    })
}

fn rust_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let entries = fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_dir() && !path.ends_with("target") {
            files.extend(rust_files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(files)
}

/// What must be there.
fn in_scope() -> Vec<String> {
    let rows = ROWS.iter().flat_map(|(letter, rows)| rows.clone().map(move |row| format!("{letter}{row}")));
    RFCS.iter().map(|rfc| format!("RFC {rfc}")).chain(rows).collect()
}

const RFCS: &[u32] = &[
    2198, 3550, 3611, 3711, 3758, 4585, 4588, 4733, 5104, 5109, 5506, 5764, 6184, 6188, 6347, 6525, 6544,
    6762, 6904, 7587, 7627, 7675, 7714, 7741, 7798, 8083, 8285, 8445, 8489, 8627, 8831, 8832, 8838, 8863,
    8888, 9260, 9335, 9429, 9628,
];
const ROWS: &[(char, std::ops::RangeInclusive<u32>)] =
    &[('D', 1..=24), ('S', 1..=9), ('C', 1..=12), ('I', 1..=9), ('I', 13..=13), ('P', 1..=2), ('R', 1..=6)];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_are_found_by_their_attribute() {
        let text = "fn no() {}\n#[test]\n#[should_panic]\nfn yes() {}\nfn neither() {}\n#[tokio::test(flavor = \"x\")]\n    async fn later() {}";
        assert_eq!(test_names(text).collect::<Vec<_>>(), ["yes", "later"]);
    }

    #[test]
    fn a_requirement_without_proof_and_a_proof_that_is_not_there_are_problems() {
        let tests = Tests {
            functions: ["stun/tests/client.rs::it_works".to_owned()].into(),
            fuzz: ["fuzz::stun_message".to_owned()].into(),
            interop: vec!["interop::dc-*".to_owned()],
        };
        let problems = |names: &[&str], reason| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            let (mut count, mut problems) = (Count::default(), Vec::new());
            judge("here", "stun", &names, reason, &tests, &mut count, &mut problems);
            (problems.len(), count.covered, count.excepted, count.missing)
        };
        assert_eq!(problems(&["stun/tests/client.rs::it_works"], None), (0, 1, 0, 0));
        assert_eq!(problems(&["fuzz::stun_message", "interop::dc-basic"], None), (0, 1, 0, 0));
        assert_eq!(problems(&["stun/tests/client.rs::it_does_not"], None), (1, 1, 0, 0));
        assert_eq!(problems(&[], Some("Out of scope.")), (0, 0, 1, 0));
        assert_eq!(problems(&[], Some(" ")), (1, 0, 0, 1));
        assert_eq!(problems(&[], None), (1, 0, 0, 1));
    }
}
