//! House rules that no lint knows.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Result;
use crate::command::root;

/// Crates of cryptography: named in `crypto` alone.
const CRYPTOGRAPHIC: &[&str] = &[
    "aes", "aes_gcm", "aes-gcm", "chacha20", "ctr", "p256", "sha1", "sha2", "hmac", "md5", "md-5", "x25519",
    "graviola", "subtle",
];

/// Crates that know tokio, or are not protocols.
const MAY_BE_ASYNC: &[&str] = &["net", "turn-server", "peerconnection", "cli"];

/// Packages that are not of the workspace, and name what they compare us with, or what is chosen in place of our own.
const OUTSIDE: &[&str] = &["bench-peers", "crypto-ring", "webrtc-util-compat"];

pub(crate) fn check() -> Result {
    let mut problems = Vec::new();
    let mut proto_lines = 0;
    for path in sources(&root().join("crates"))?.into_iter().chain(sources(&root().join("xtask"))?) {
        let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let shown = path.strip_prefix(root()).unwrap_or(&path).display().to_string();
        let shipped = shipped_lines(&text);
        let crate_name = shown.split('/').nth(1).unwrap_or_default().to_owned();
        if OUTSIDE.contains(&crate_name.as_str()) {
            continue;
        }
        let in_source = shown.contains("/src/") && !shown.ends_with("tests.rs");
        if in_source && shipped.len() > FILE_LINES {
            problems.push(format!("{shown}: {} lines without tests, more than {FILE_LINES}", shipped.len()));
        }
        if crate_name == "proto" && in_source {
            proto_lines += shipped.len();
        }
        for (number, line) in &shipped {
            let code = line.split("//").next().unwrap_or_default();
            let mut complain = |what: &str| problems.push(format!("{shown}:{number}: {what}"));
            if shown.starts_with("crates/")
                && in_source
                && names_cryptography(code)
                && !matches!(crate_name.as_str(), "crypto" | "cli")
            {
                complain("a cryptographic crate is named outside `crypto`");
            }
            let is_async = has_word(code, "async") || has_word(code, "await");
            if shown.starts_with("crates/")
                && in_source
                && is_async
                && !MAY_BE_ASYNC.contains(&crate_name.as_str())
            {
                complain("`async` in a protocol crate");
            }
        }
    }
    problems.extend(manifests()?);
    if proto_lines > PROTO_LINES {
        problems.push(format!("crates/proto: {proto_lines} lines without tests, more than {PROTO_LINES}"));
    }
    if problems.is_empty() { Ok(()) } else { Err(problems.join("\n")) }
}

/// Manifests outside `crypto` that name cryptography, and library crates without the workspace's lints.
fn manifests() -> Result<Vec<String>> {
    let mut problems = Vec::new();
    for entry in fs::read_dir(root().join("crates")).map_err(|error| error.to_string())?.flatten() {
        let path = entry.path().join("Cargo.toml");
        let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if OUTSIDE.contains(&name.as_str()) {
            continue;
        }
        if !text.contains("[lints]\nworkspace = true") {
            problems.push(format!("crates/{name}/Cargo.toml: the workspace's lints are missing"));
        }
        let shipped = text.split("[dev-dependencies]").next().unwrap_or_default();
        let named = shipped.lines().find(|line| {
            let package = line.split([' ', '.', '=']).next().unwrap_or_default();
            CRYPTOGRAPHIC.contains(&package)
        });
        if let (Some(line), true) = (named, !matches!(name.as_str(), "crypto" | "cli")) {
            problems.push(format!("crates/{name}/Cargo.toml: `{line}`: cryptography belongs in `crypto`"));
        }
    }
    Ok(problems)
}

fn names_cryptography(code: &str) -> bool {
    code.contains("::")
        && CRYPTOGRAPHIC.iter().any(|name| {
            code.split(|c: char| !c.is_alphanumeric() && c != '_' && c != ':')
                .any(|word| word.starts_with(&format!("{}::", name.replace('-', "_"))))
        })
}

fn has_word(code: &str, word: &str) -> bool {
    code.split(|c: char| !c.is_alphanumeric() && c != '_').any(|found| found == word)
}

/// The lines before the unit tests, with their numbers.
fn shipped_lines(text: &str) -> Vec<(usize, &str)> {
    text.lines()
        .enumerate()
        .take_while(|(_, line)| *line != "#[cfg(test)]")
        .map(|(at, line)| (at + 1, line))
        .collect()
}

fn sources(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        for path in entries.flatten().map(|entry| entry.path()) {
            if path.is_dir() && !path.ends_with("target") {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// A file holds one idea.
const FILE_LINES: usize = 700;
/// The shared vocabulary stays small.
const PROTO_LINES: usize = 600;
