//! A call: frames come back, figures are shown, and what was recorded is a file that others decode.

use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::look;
use crate::Result;
use crate::browser::Browser;

pub(super) fn run(address: &str, saved: &Path, screenshots: Option<&Path>) -> Result {
    let browser = Browser::start(1280, 900)?;
    browser.open(&format!("http://{address}/call"))?;
    browser.click("#start")?;
    let plays = "const v = document.getElementById('echo'); return v.videoWidth > 0 && v.currentTime > 1";
    browser.wait_for("the picture that comes back", plays, Duration::from_secs(20))?;

    let seconds = recorded(&browser, saved, "webm", 5)?;
    figures(&browser)?;
    if let Some(folder) = screenshots {
        sleep(Duration::from_secs(20));
        look(&browser, folder, "call")?;
    }
    // Sound alone: as on a machine without a camera.
    browser.before_load(WITHOUT_CAMERA)?;
    browser.open(&format!("http://{address}/call"))?;
    browser.click("#start")?;
    let open = "return document.getElementById('state').dataset.state === 'open'";
    browser.wait_for("the call without a camera", open, Duration::from_secs(20))?;
    sleep(Duration::from_secs(1));
    let alone = recorded(&browser, saved, "ogg", 2)?;
    println!(
        "recorded {seconds:.1} s of pictures and sound, and {alone:.1} s of sound alone; both are decoded whole"
    );
    Ok(())
}

/// Records for so long; what is there then is decoded by another program. Gives how long it is, in seconds.
fn recorded(browser: &Browser, saved: &Path, extension: &str, seconds: u64) -> Result<f64> {
    let may = "return !document.getElementById('record').disabled";
    browser.wait_for("the leave to record", may, Duration::from_secs(5))?;
    browser.click("#record")?;
    let running = "return document.getElementById('recording').dataset.state === 'running'";
    browser.wait_for("the recording", running, Duration::from_secs(5))?;
    let start = Instant::now();
    sleep(Duration::from_secs(seconds));
    browser.click("#record")?;
    let ended = "const e = document.getElementById('recording'); return e.dataset.file ? [e.dataset.file, e.textContent] : ''";
    let said = browser.wait_for("the end of the recording", ended, Duration::from_secs(10))?;
    let lasted = start.elapsed().as_secs_f64();
    let (file, text) = (said[0].as_str().unwrap_or_default(), said[1].as_str().unwrap_or_default());
    println!("the page says: {text}");
    let path = saved.join(file);
    if path.extension().is_none_or(|it| it != extension) {
        return Err(format!("{file} was expected to be of the kind {extension}"));
    }
    let length = verified(&path, text, extension == "webm")?;
    if length < lasted - 1.5 || length > lasted + 0.5 {
        return Err(format!("{file} has {length} s of {lasted} s"));
    }
    Ok(length)
}

/// Has ffprobe decode a file: every frame that the process counted, in pictures of the size that the browser sent. Gives its length.
fn verified(path: &Path, text: &str, has_video: bool) -> Result<f64> {
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-count_frames", "-show_streams", "-show_format", "-of", "json"])
        .arg(path)
        .output()
        .map_err(|error| format!("cannot run ffprobe: {error}: `apt-get install ffmpeg`"))?;
    let complaints = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() || !complaints.trim().is_empty() {
        return Err(format!("{}: ffprobe: {complaints}", path.display()));
    }
    let probed: Value = serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())?;
    let streams = probed["streams"].as_array().map(Vec::as_slice).unwrap_or_default();
    let of = |kind: &str| streams.iter().find(|stream| stream["codec_type"] == kind);
    let frames = |stream: &Value| stream["nb_read_frames"].as_str().and_then(|text| text.parse::<u64>().ok());
    let audio =
        of("audio").filter(|audio| audio["codec_name"] == "opus").and_then(frames).unwrap_or_default();
    let counted = |unit: &str| {
        let before = text.split(unit).next().unwrap_or_default();
        before.split([' ', ',']).next_back().and_then(|number| number.parse::<u64>().ok()).unwrap_or(u64::MAX)
    };
    // RFC 7845 §4.2: of the 80 ms that a decoder needs to be right nothing is given out, where the file says so.
    let skipped = if has_video { 0 } else { 4 };
    if audio + skipped != counted(" packets of sound") {
        return Err(format!(
            "{}: {audio} packets of sound were decoded; the page says: {text}",
            path.display()
        ));
    }
    if has_video {
        let video = of("video").ok_or("no video was recorded")?;
        let pictures = frames(video).unwrap_or_default();
        let size = (video["codec_name"].as_str(), video["width"].as_u64(), video["height"].as_u64());
        if pictures != counted(" pictures") || size != (Some("vp8"), Some(640), Some(480)) {
            return Err(format!("{pictures} pictures of {size:?} were decoded; the page says: {text}"));
        }
        println!("{pictures} pictures and {audio} packets of sound were decoded");
    }
    length(path)
}

/// When the last packet of a file is over, in seconds: a file that is written as it comes does not say it at its begin.
fn length(path: &Path) -> Result<f64> {
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-show_entries", "packet=pts_time", "-of", "csv=p=0"])
        .arg(path)
        .output()
        .map_err(|error| format!("cannot run ffprobe: {error}"))?;
    let times = String::from_utf8_lossy(&output.stdout);
    let times = times.lines().filter_map(|line| line.trim_end_matches(',').parse::<f64>().ok());
    times
        .fold(None, |last: Option<f64>, time| Some(last.map_or(time, |last| last.max(time))))
        .ok_or_else(|| "no times".into())
}

/// All figures are there after a while, and none is absurd.
fn figures(browser: &Browser) -> Result {
    let outputs = "const all = [...document.querySelectorAll('.legend output')].map(e => [e.id, e.textContent]); \
                   return all.every(([, text]) => text !== '–') ? all : ''";
    let shown = browser.wait_for("all the figures", outputs, Duration::from_secs(15))?;
    let shown: Vec<(String, String)> = serde_json::from_value(shown).map_err(|error| error.to_string())?;
    let text = |id: &str| shown.iter().find(|(name, _)| name == id).map_or("", |(_, text)| text.as_str());
    for id in ["rate-now-1", "rate-now-2", "bandwidth-now-1", "bandwidth-now-2"] {
        let (number, unit) = text(id).split_once(' ').unwrap_or_default();
        let number = number.parse::<f64>().unwrap_or_default() * if unit == "Mbit/s" { 1000.0 } else { 1.0 };
        if !(20.0..=100_000.0).contains(&number) {
            return Err(format!("{id} is {}", text(id)));
        }
    }
    let all: Vec<String> = shown.iter().map(|(id, text)| format!("{id} {text}")).collect();
    println!("{}", all.join(", "));
    Ok(())
}

/// Has the page find a microphone alone.
const WITHOUT_CAMERA: &str = "const media = navigator.mediaDevices, ask = media.getUserMedia.bind(media); \
    media.getUserMedia = (wanted) => wanted.video ? Promise.reject(new DOMException('none', 'NotFoundError')) : ask(wanted);";
