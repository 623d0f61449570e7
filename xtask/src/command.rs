//! Running other programs.

use std::path::PathBuf;
use std::process::Command;

use crate::Result;

/// The workspace's folder.
pub(crate) fn root() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// Runs cargo with `arguments`, between blanks, in the workspace's folder.
pub(crate) fn cargo(arguments: &str) -> Result {
    cargo_with(arguments, &[])
}

/// [`cargo`] with additional environment.
pub(crate) fn cargo_with(arguments: &str, environment: &[(&str, &str)]) -> Result {
    let mut command = Command::new("cargo");
    command.args(arguments.split_whitespace()).envs(environment.iter().copied());
    run(&mut command)
}

/// Runs a command in the workspace's folder and says what failed.
pub(crate) fn run(command: &mut Command) -> Result {
    let shown = show(command);
    eprintln!("$ {shown}");
    match command.current_dir(root()).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("`{shown}` failed: {status}")),
        Err(error) => Err(format!("cannot run `{shown}`: {error}")),
    }
}

/// Whether `program` can be run at all.
pub(crate) fn exists(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok()
}

/// The short name of the commit that is checked out.
pub(crate) fn commit() -> Result<String> {
    first_line(Command::new("git").args(["rev-parse", "--short", "HEAD"]))
}

/// The date, as in 2026-11-22.
pub(crate) fn today() -> String {
    first_line(Command::new("date").args(["-u", "+%F"])).unwrap_or_default()
}

fn first_line(command: &mut Command) -> Result<String> {
    let output = command.current_dir(root()).output();
    let output = output.map_err(|error| format!("cannot run `{}`: {error}", show(command)))?;
    Ok(String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().to_owned())
}

fn show(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}
