//! A room of three browsers: each sees the others, layers follow what is wanted, and whoever goes is gone for all.

use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::look;
use crate::Result;
use crate::browser::Browser;

pub(super) fn run(address: &str, screenshots: Option<&Path>) -> Result {
    let ada = enter(address, "Ada")?;
    let ben = enter(address, "Ben")?;
    for (browser, name) in [(&ada, "Ada"), (&ben, "Ben")] {
        sees(browser, name, 1)?;
    }
    // Layers: all that the path carries is the best one, and less is wanted for a while.
    layer(&ada, "f", Duration::from_secs(40))?;
    limit(&ada, "150000")?;
    layer(&ada, "h", Duration::from_secs(15))?;
    plays(&ada, "Ada")?;
    limit(&ada, "")?;
    layer(&ada, "f", Duration::from_secs(20))?;
    plays(&ada, "Ada")?;
    println!("the layers of simulcast follow what is wanted, down and up");

    // Who comes later sees pictures as soon as key frames were asked for.
    let start = Instant::now();
    let cleo = enter(address, "Cleo")?;
    let entered = start.elapsed();
    sees(&cleo, "Cleo", 2)?;
    let seen = start.elapsed() - entered;
    for (browser, name) in [(&ada, "Ada"), (&ben, "Ben")] {
        sees(browser, name, 2)?;
    }
    println!(
        "three in a room see each other; the third saw the others {:.1} s after the page was there",
        seen.as_secs_f64()
    );

    if let Some(folder) = screenshots {
        sleep(Duration::from_secs(10));
        look(&ada, folder, "room")?;
    }

    // Another page says goodbye; a browser that is killed would be missed after half a minute.
    cleo.open("about:blank")?;
    for (browser, name) in [(&ada, "Ada"), (&ben, "Ben")] {
        let others = "return document.querySelectorAll('#tiles figure').length === 2";
        browser.wait_for(
            &format!("that {name} sees that the third has gone"),
            others,
            Duration::from_secs(25),
        )?;
        plays(browser, name)?;
    }
    // The section of who has gone is used again.
    let dora = enter(address, "Dora")?;
    sees(&dora, "Dora", 2)?;
    sees(&ada, "Ada", 2)?;
    println!("one has gone and another has come");
    ben.click("#leave")?;
    let empty = "return document.querySelectorAll('#tiles figure').length === 2";
    ada.wait_for("that somebody has left", empty, Duration::from_secs(10))?;
    Ok(())
}

fn enter(address: &str, name: &str) -> Result<Browser> {
    let browser = Browser::start(1280, 900)?;
    browser.open(&format!("http://{address}/room?room=smoke&small"))?;
    browser.type_into("#own-name", &format!("{name}\n"))?;
    let open = "return document.getElementById('state').dataset.state === 'open'";
    browser.wait_for(&format!("{name}'s connection"), open, Duration::from_secs(20))?;
    Ok(browser)
}

/// As many others are shown by name, and their pictures move.
fn sees(browser: &Browser, name: &str, others: usize) -> Result {
    let script = format!(
        "const all = [...document.querySelectorAll('#tiles figure')].slice(1); return all.length === {others} && \
         all.every(f => f.querySelector('strong').textContent && f.querySelector('video').videoWidth > 0)"
    );
    browser.wait_for(&format!("that {name} sees {others}"), &script, Duration::from_secs(25))?;
    plays(browser, name)
}

/// Pictures and sound of all others go on: frames are decoded, none is frozen.
fn plays(browser: &Browser, name: &str) -> Result {
    let frames = "return [...document.querySelectorAll('#tiles figure')].slice(1).map(f => \
                  f.querySelector('video').getVideoPlaybackQuality().totalVideoFrames)";
    let before = browser.script(frames)?;
    let script = format!(
        "const before = {before}; return [...document.querySelectorAll('#tiles figure')].slice(1).every((f, i) => \
         f.querySelector('video').getVideoPlaybackQuality().totalVideoFrames > (before[i] ?? 0) + 5)"
    );
    browser.wait_for(&format!("that {name}'s pictures go on"), &script, Duration::from_secs(15)).map(drop)
}

fn limit(browser: &Browser, value: &str) -> Result {
    let script = format!(
        "const e = document.getElementById('limit'); e.value = '{value}'; e.dispatchEvent(new Event('change'))"
    );
    browser.script(&script).map(drop)
}

/// Every other's video comes by this layer, of two.
fn layer(browser: &Browser, rid: &str, limit: Duration) -> Result {
    let script = format!(
        "return [...document.querySelectorAll('#tiles figure')].slice(1).every(f => \
         f.dataset.layer === '{rid}' && f.dataset.layers === '2')"
    );
    let what = format!("the layer {rid}");
    browser.wait_for(&what, &script, limit).map(drop)
}
