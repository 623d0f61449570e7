//! The ledger of fuzzing, `docs/fuzz.md`: what each target has run through so far. Runs add to it, so that long
//! campaigns are the sum of short ones.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use crate::Result;
use crate::command::root;

/// What one target did at one commit.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Entry {
    pub(crate) executions: u64,
    /// Of processor time, so that a busy machine does not count for more than it did.
    pub(crate) seconds: f64,
    pub(crate) crashes: u64,
}

/// All entries, by target and commit.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Ledger(BTreeMap<(String, String), Entry>);

impl Ledger {
    pub(crate) fn read() -> Result<Self> {
        Self::read_from(&path())
    }

    /// Adds a run to the file. Other campaigns may write to it at the same time, and read it at any.
    pub(crate) fn record(target: &str, commit: &str, run: Entry) -> Result {
        Self::record_in(&path(), target, commit, run)
    }

    fn read_from(path: &Path) -> Result<Self> {
        match fs::read_to_string(path) {
            Ok(text) => Self::parse(&text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(format!("{}: {error}", path.display())),
        }
    }

    /// One at a time by a lock of the folder; who reads finds the file as it was or as it is.
    fn record_in(path: &Path, target: &str, commit: &str, run: Entry) -> Result {
        let failed = |error: std::io::Error| format!("{}: {error}", path.display());
        let folder = fs::File::open(path.parent().unwrap_or(path)).map_err(failed)?;
        folder.lock().map_err(failed)?;
        let mut ledger = Self::read_from(path)?;
        ledger.add(target, commit, run);
        let whole = path.with_extension("new");
        fs::write(&whole, ledger.to_text()).and_then(|()| fs::rename(&whole, path)).map_err(failed)
    }

    fn add(&mut self, target: &str, commit: &str, run: Entry) {
        let entry = self.0.entry((target.to_owned(), commit.to_owned())).or_default();
        entry.executions += run.executions;
        entry.seconds += run.seconds;
        entry.crashes += run.crashes;
    }

    /// The sum over all commits.
    pub(crate) fn total(&self, target: &str) -> Entry {
        let of_target = self.0.iter().filter(|((name, _), _)| name == target);
        of_target.fold(Entry::default(), |sum, (_, entry)| Entry {
            executions: sum.executions + entry.executions,
            seconds: sum.seconds + entry.seconds,
            crashes: sum.crashes + entry.crashes,
        })
    }

    fn parse(text: &str) -> Result<Self> {
        let mut ledger = Self::default();
        let rows = text.lines().skip_while(|line| *line != RUNS).filter(|line| line.starts_with("| `"));
        for line in rows {
            let cells: Vec<&str> = line.trim_matches('|').split('|').map(|cell| cell.trim()).collect();
            let [target, commit, executions, seconds, crashes] = cells[..] else {
                return Err(format!("docs/fuzz.md: five cells are expected: {line}"));
            };
            let bad = |_| format!("docs/fuzz.md: no number: {line}");
            let entry = Entry {
                executions: executions.replace(',', "").parse().map_err(bad)?,
                seconds: seconds.replace(',', "").parse().map_err(|_| format!("docs/fuzz.md: {line}"))?,
                crashes: crashes.parse().map_err(bad)?,
            };
            ledger.add(target.trim_matches('`'), commit.trim_matches('`'), entry);
        }
        Ok(ledger)
    }

    fn to_text(&self) -> String {
        let mut text = String::from(HEAD);
        text.push_str("| target | executions | minutes | crashes |\n|---|--:|--:|--:|\n");
        let mut targets: Vec<&str> = self.0.keys().map(|(target, _)| target.as_str()).collect();
        targets.dedup();
        for target in targets {
            let Entry { executions, seconds, crashes } = self.total(target);
            let (executions, minutes) = (grouped(executions), seconds / 60.0);
            let _ = writeln!(text, "| `{target}` | {executions} | {minutes:.1} | {crashes} |");
        }
        let _ = write!(
            text,
            "\n{RUNS}\n\n| target | commit | executions | seconds | crashes |\n|---|---|--:|--:|--:|\n"
        );
        for ((target, commit), Entry { executions, seconds, crashes }) in &self.0 {
            let executions = grouped(*executions);
            let _ = writeln!(text, "| `{target}` | `{commit}` | {executions} | {seconds:.0} | {crashes} |");
        }
        text
    }
}

/// With a comma between thousands.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn path() -> PathBuf {
    root().join("docs/fuzz.md")
}

const HEAD: &str = "\
# Fuzzing so far

Written by `cargo xtask fuzz --campaign MINUTES`, which runs every target until that much processor time stands here
for it, and may be stopped and continued at any time. All targets run with AddressSanitizer, LeakSanitizer and checks
of overflow. A crash that was found was mended before the next commit, and its input is part of the committed corpus.

";
const RUNS: &str = "## By commit";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ledger_is_read_as_it_was_written() {
        let mut ledger = Ledger::default();
        for (target, commit, executions) in
            [("b", "1", 5), ("a", "1", 1_234_567), ("a", "2", 10), ("a", "1", 3)]
        {
            ledger.add(target, commit, Entry { executions, seconds: 60.0, crashes: 0 });
        }
        let text = ledger.to_text();
        assert!(text.contains("| `a` | 1,234,580 | 3.0 | 0 |"), "{text}");
        assert_eq!(Ledger::parse(&text), Ok(ledger));
    }

    #[test]
    fn campaigns_beside_each_other_lose_no_run() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fuzz.md");
        let run = Entry { executions: 1, seconds: 1.0, crashes: 0 };
        std::thread::scope(|scope| {
            for campaign in ["a", "b", "c"] {
                let path = &path;
                scope.spawn(move || {
                    for _ in 0..50 {
                        Ledger::record_in(path, campaign, "1", run).unwrap();
                        Ledger::read_from(path).unwrap();
                    }
                });
            }
        });
        let ledger = Ledger::read_from(&path).unwrap();
        assert_eq!(["a", "b", "c"].map(|campaign| ledger.total(campaign).executions), [50; 3]);
    }

    #[test]
    fn a_row_that_makes_no_sense_is_named() {
        let text = format!("{RUNS}\n| `a` | `1` | many | 2 | 0 |\n");
        assert!(Ledger::parse(&text).unwrap_err().contains("many"));
    }
}
