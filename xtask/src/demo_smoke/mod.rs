//! The demo as people would use it: headless Chromium opens its pages, chats, uploads a file, calls the process with a camera
//! that is none and is recorded, and meets others in a room. Besides, two browsers at the example that forwards.

mod call;
mod forward;
mod room;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::Result;
use crate::browser::{Browser, free_port};
use crate::command::{cargo, root};

/// The program, as cargo builds it.
pub(crate) const BUILD: &str = "build --profile counted --locked -p peerline-cli --bin peerline";

pub(crate) fn run(
    mib: usize,
    screenshots: Option<&Path>,
    program: Option<PathBuf>,
    pages: &[Page],
) -> Result {
    let program = match program {
        Some(program) => program,
        None => {
            cargo(BUILD)?;
            root().join("target/counted/peerline")
        }
    };
    let address = format!("127.0.0.1:{}", free_port()?);
    let saved = root().join("target/demo-smoke");
    let _ = fs::remove_dir_all(&saved);
    let _demo = Demo::start(&program, &address, &saved)?;
    if let Some(folder) = screenshots {
        fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    let all = [Page::Data, Page::Call, Page::Room, Page::Forward];
    for page in if pages.is_empty() { &all } else { pages } {
        let start = Instant::now();
        match page {
            Page::Data => data(&address, mib, screenshots)?,
            Page::Call => call::run(&address, &saved, screenshots)?,
            Page::Room => room::run(&address, screenshots)?,
            Page::Forward => forward::run(&address)?,
        }
        println!("{page:?}: {:.0} s", start.elapsed().as_secs_f64());
    }
    if let Some(folder) = screenshots {
        println!("screenshots are in {}", folder.display());
    }
    let _ = fs::remove_dir_all(&saved);
    Ok(())
}

/// Which of the pages are opened.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum Page {
    /// Chat and upload over data channels.
    Data,
    /// A call with the process.
    Call,
    /// A room of several.
    Room,
    /// No page: the example that forwards.
    Forward,
}

fn data(address: &str, mib: usize, screenshots: Option<&Path>) -> Result {
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
    let figures = browser.script("return document.getElementById('upload-text').textContent")?;
    println!("echo and an upload of {mib} MiB with equal hashes, in {seconds:.1} s with hashing");
    println!("the page says: {}", figures.as_str().unwrap_or_default());
    if let Some(folder) = screenshots {
        sleep(Duration::from_secs(4));
        look(&browser, folder, "connected")?;
    }
    relayed(&browser, address)?;
    refused(&browser, address)?;
    if let Some(folder) = screenshots {
        look(&browser, folder, "refused")?;
    }
    Ok(())
}

/// The page uses the demo's TURN server and nothing else.
fn relayed(browser: &Browser, address: &str) -> Result {
    browser.open(&format!("http://{address}/?relay"))?;
    let path = "return document.getElementById('path').textContent";
    let path = browser.wait_for("the connection through the relay", path, Duration::from_secs(20))?;
    let path = path.as_str().unwrap_or_default();
    if !path.contains("relay to relay") {
        return Err(format!("the page may use the relay alone, and uses {path}"));
    }
    println!("through the relay alone: {path}");
    Ok(())
}

/// A broken offer: the page says what is wrong with it.
fn refused(browser: &Browser, address: &str) -> Result {
    browser.before_load(BREAK_OFFER)?;
    browser.open(&format!("http://{address}/"))?;
    let failed = "return document.getElementById('state').dataset.state === 'failed'";
    browser.wait_for("the refusal", failed, Duration::from_secs(10))?;
    let text = browser.script("return document.getElementById('problem-text').textContent")?;
    let text = text.as_str().unwrap_or_default();
    if !text.contains("the offer is broken: line ") {
        return Err(format!("the page does not say what is wrong with the offer, but: {text}"));
    }
    println!("a broken offer: {text}");
    Ok(())
}

/// Pictures of the page as it is: wide and narrow, by day and by night.
fn look(browser: &Browser, folder: &Path, name: &str) -> Result {
    for (shape, width, least) in [("desktop", 1280, 800), ("phone", 390, 844)] {
        for dark in [false, true] {
            browser.dark(dark)?;
            browser.resize(width, least)?;
            let height = browser.script("return document.documentElement.scrollHeight")?;
            let height = height.as_u64().and_then(|height| u32::try_from(height).ok()).unwrap_or_default();
            browser.resize(width, height.max(least))?;
            sleep(Duration::from_millis(700));
            let colours = if dark { "dark" } else { "light" };
            browser.screenshot(&folder.join(format!("demo-{name}-{shape}-{colours}.png")))?;
        }
    }
    Ok(())
}

/// Has the page send an offer whose media section has a port that is none.
const BREAK_OFFER: &str = "const send = window.fetch; window.fetch = (url, init) => \
    send(url, init && { ...init, body: init.body.replace('m=application 9', 'm=application nine') });";

/// The demo's process; it ends when this is dropped.
struct Demo(Child);

impl Demo {
    fn start(program: &Path, address: &str, saved: &Path) -> Result<Self> {
        let child = Command::new(program)
            .args(["demo", "--listen", address, "--turn", "--save"])
            .arg(saved)
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
