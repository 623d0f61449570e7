//! The demo as a person would use it: a headless Chromium opens the page, chats, uploads a file.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::Result;
use crate::browser::{Browser, free_port};
use crate::command::{cargo, root};

pub(crate) fn run(mib: usize, screenshots: Option<&Path>) -> Result {
    cargo("build --release --locked -p peerline-cli --bin peerline")?;
    let address = format!("127.0.0.1:{}", free_port()?);
    let _demo = Demo::start(&address)?;
    let browser = Browser::start(1280, 900)?;
    browser.open(&format!("http://{address}/"))?;
    let connected = "return document.getElementById('state').dataset.state === 'open'";
    browser.wait_for("the connection", connected, Duration::from_secs(20))?;

    browser.type_into("#chat-text", "hello from the smoke test\n")?;
    let echoed = "return [...document.querySelectorAll('#chat-log .theirs')].some(e => e.textContent.includes('hello from the smoke test'))";
    browser.wait_for("the echo", echoed, Duration::from_secs(10))?;

    let file = root().join("target/demo-smoke.bin");
    fs::write(&file, pattern(mib << 20)).map_err(|error| format!("{}: {error}", file.display()))?;
    let full = fs::canonicalize(&file).map_err(|error| error.to_string())?;
    let start = Instant::now();
    browser.type_into("#file-input", &full.to_string_lossy())?;
    let done = "const e = document.getElementById('upload-result'); return e.dataset.result || ''";
    let result = browser.wait_for("the end of the upload", done, Duration::from_secs(150))?;
    let seconds = start.elapsed().as_secs_f64();
    let _ = fs::remove_file(&file);
    if result != "equal" {
        return Err(format!("the upload's hashes are not equal: {result}"));
    }
    println!("echo and an upload of {mib} MiB with equal hashes, in {seconds:.1} s");
    if let Some(folder) = screenshots {
        fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        sleep(Duration::from_secs(2));
        browser.screenshot(&folder.join("demo-desktop.png"))?;
        browser.resize(390, 844)?;
        sleep(Duration::from_secs(1));
        browser.screenshot(&folder.join("demo-phone.png"))?;
        println!("screenshots are in {}", folder.display());
    }
    Ok(())
}

/// The demo's process; it ends when this is dropped.
struct Demo(Child);

impl Demo {
    fn start(address: &str) -> Result<Self> {
        let child = Command::new(root().join("target/release/peerline"))
            .args(["demo", "--listen", address])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .map_err(|error| format!("cannot run the demo: {error}"))?;
        let demo = Self(child);
        let deadline = Instant::now() + Duration::from_secs(10);
        while ureq::get(format!("http://{address}/")).call().is_err() {
            if Instant::now() > deadline {
                return Err(format!("the demo does not answer at http://{address}/"));
            }
            sleep(Duration::from_millis(50));
        }
        Ok(demo)
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Bytes in which any two blocks differ, so that a swap or a repetition shows in the hash.
fn pattern(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}
