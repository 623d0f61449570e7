//! Who meets whom through which NATs: docs/nat-matrix.md.

use std::fs;

use crate::Result;
use crate::command::{cargo_with, root};

/// Runs all pairs. Writes the page, or says whether the one that is there is another.
pub(crate) fn run(check: bool) -> Result {
    let (page, fresh) = (root().join("docs/nat-matrix.md"), root().join("target/nat-matrix.md"));
    let place = fresh.display().to_string();
    // The whole workspace is named so that nothing is built again with fewer features than `test` chose.
    let test = "test --locked --workspace --test nat_matrix -- --nocapture";
    cargo_with(test, &[("PEERLINE_NAT_MATRIX", place.as_str())])?;
    let read = |path| fs::read_to_string(path).map_err(|error| format!("{}: {error}", page.display()));
    let text = read(&fresh)?;
    if !check {
        return fs::write(&page, text).map_err(|error| format!("{}: {error}", page.display()));
    }
    if read(&page)? == text {
        Ok(())
    } else {
        Err("docs/nat-matrix.md is stale: `cargo xtask nat-matrix` writes it anew".into())
    }
}
