use std::path::PathBuf;
use std::process::Command;

/// The interpreter that `PEERLINE_PYTHON` names, or `python3`, for the programs that stand beside tests: a way to what
/// others have written. `needs` is what it must be able to run, such as `import aiortc`; if it cannot, or there is no
/// interpreter, the reason is printed and the test has nothing to do.
#[expect(clippy::print_stdout, reason = "who runs the test is told why it does nothing")]
pub fn python(needs: &str) -> Option<PathBuf> {
    let python: PathBuf = std::env::var_os("PEERLINE_PYTHON").unwrap_or_else(|| "python3".into()).into();
    let run = Command::new(&python).args(["-W", "ignore", "-c", needs]).output();
    if run.is_ok_and(|output| output.status.success()) {
        return Some(python);
    }
    println!("skipped: {} cannot `{needs}`; PEERLINE_PYTHON names another interpreter", python.display());
    None
}
