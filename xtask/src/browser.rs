//! A headless Chromium, driven by the WebDriver protocol (<https://www.w3.org/TR/webdriver2/>).

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::Result;
use crate::command::exists;

/// A browser with one page; it ends when this is dropped.
pub(crate) struct Browser {
    driver: Child,
    base: String,
}

impl Browser {
    /// Starts a browser with a window of the given size.
    pub(crate) fn start(width: u32, height: u32) -> Result<Self> {
        if !exists("chromedriver") || !exists("chromium") {
            return Err(
                "chromium and chromedriver are missing: `apt-get install chromium chromium-driver`".into()
            );
        }
        let port = free_port()?;
        let driver = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("cannot run chromedriver: {error}"))?;
        let mut browser = Self { driver, base: format!("http://127.0.0.1:{port}") };
        let deadline = Instant::now() + Duration::from_secs(20);
        while browser.get("/status").is_err() {
            if Instant::now() > deadline {
                return Err("chromedriver does not answer".into());
            }
            sleep(Duration::from_millis(50));
        }
        let arguments = [
            "--headless=new".to_owned(),
            "--no-sandbox".to_owned(),
            "--disable-gpu".to_owned(),
            "--disable-quic".to_owned(),
            "--no-first-run".to_owned(),
            "--disable-background-networking".to_owned(),
            "--disable-component-update".to_owned(),
            "--disable-sync".to_owned(),
            // Camera and microphone are made up, and nobody is asked whether they may be used.
            "--use-fake-device-for-media-stream=fps=15".to_owned(),
            "--use-fake-ui-for-media-stream".to_owned(),
            "--autoplay-policy=no-user-gesture-required".to_owned(),
            // A page may gather loopback candidates; the machine may have no other network.
            "--allow-loopback-in-peer-connection".to_owned(),
            format!("--window-size={width},{height}"),
        ];
        let options = json!({ "args": arguments });
        let wanted = json!({ "capabilities": { "alwaysMatch": { "browserName": "chrome", "goog:chromeOptions": options } } });
        let session = browser.post("/session", &wanted)?;
        let id = session["sessionId"].as_str().ok_or("chromedriver made no session")?;
        browser.base = format!("{}/session/{id}", browser.base);
        Ok(browser)
    }

    /// Opens a page and waits until it is loaded.
    pub(crate) fn open(&self, url: &str) -> Result {
        self.post("/url", &json!({ "url": url })).map(drop)
    }

    /// Makes the page think that its screen has this size: a phone's, for example.
    pub(crate) fn resize(&self, width: u32, height: u32) -> Result {
        let parameters =
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600 });
        self.devtools("Emulation.setDeviceMetricsOverride", &parameters)
    }

    /// Makes the page think that its reader prefers dark or light colours.
    pub(crate) fn dark(&self, dark: bool) -> Result {
        let value = if dark { "dark" } else { "light" };
        let features = json!([{ "name": "prefers-color-scheme", "value": value }]);
        self.devtools("Emulation.setEmulatedMedia", &json!({ "features": features }))
    }

    /// Runs a script in every page that is opened from now on, before the page's own.
    pub(crate) fn before_load(&self, script: &str) -> Result {
        self.devtools("Page.addScriptToEvaluateOnNewDocument", &json!({ "source": script }))
    }

    fn devtools(&self, command: &str, parameters: &Value) -> Result {
        let body = json!({ "cmd": command, "params": parameters });
        self.post("/goog/cdp/execute", &body).map(drop)
    }

    /// What a script returns; it is the body of a function.
    pub(crate) fn script(&self, script: &str) -> Result<Value> {
        self.post("/execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// Types into the element that `selector` finds; for a file input, the path of the file.
    pub(crate) fn type_into(&self, selector: &str, text: &str) -> Result {
        let found = self.post("/element", &json!({ "using": "css selector", "value": selector }))?;
        let id = found.as_object().and_then(|object| object.values().next()?.as_str());
        let id = id.ok_or_else(|| format!("the page has no `{selector}`"))?;
        self.post(&format!("/element/{id}/value"), &json!({ "text": text })).map(drop)
    }

    /// Presses the element that `selector` finds.
    pub(crate) fn click(&self, selector: &str) -> Result {
        let script = format!("document.querySelector({}).click()", json!(selector));
        self.script(&script).map(drop)
    }

    /// Waits until a script returns something that is neither false, null nor empty.
    pub(crate) fn wait_for(&self, what: &str, script: &str, limit: Duration) -> Result<Value> {
        let deadline = Instant::now() + limit;
        loop {
            let value = self.script(script)?;
            let empty = value.is_null() || value == false || value == "";
            if !empty {
                return Ok(value);
            }
            if Instant::now() > deadline {
                let page = self.script("return document.body.innerText").unwrap_or_default();
                return Err(format!(
                    "{what} did not happen within {limit:?}; the page says:\n{}",
                    page.as_str().unwrap_or_default()
                ));
            }
            sleep(Duration::from_millis(100));
        }
    }

    /// Writes what the page looks like to a PNG file.
    pub(crate) fn screenshot(&self, file: &Path) -> Result {
        let picture = self.get("/screenshot")?;
        let bytes = base64(picture.as_str().unwrap_or_default());
        std::fs::write(file, bytes).map_err(|error| format!("{}: {error}", file.display()))
    }

    fn get(&self, path: &str) -> Result<Value> {
        let answer = ureq::get(format!("{}{path}", self.base)).call();
        let mut answer = answer.map_err(|error| format!("chromedriver: {error}"))?;
        let body: Value = answer
            .body_mut()
            .with_config()
            .limit(BODY_LIMIT)
            .read_json()
            .map_err(|error| error.to_string())?;
        Ok(body["value"].clone())
    }

    fn post(&self, path: &str, body: &Value) -> Result<Value> {
        let request = ureq::post(format!("{}{path}", self.base)).config().http_status_as_error(false).build();
        let mut answer = request.send_json(body).map_err(|error| format!("chromedriver: {error}"))?;
        let body: Value = answer
            .body_mut()
            .with_config()
            .limit(BODY_LIMIT)
            .read_json()
            .map_err(|error| error.to_string())?;
        match body["value"]["error"].as_str() {
            Some(error) => Err(format!("chromedriver: {error}: {}", body["value"]["message"])),
            None => Ok(body["value"].clone()),
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Ending the session ends the browser; what is left is the driver itself.
        let _ = ureq::delete(&self.base).call();
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// A TCP port of the loopback that nobody listens on.
pub(crate) fn free_port() -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
    Ok(listener.local_addr().map_err(|error| error.to_string())?.port())
}

/// Decodes what WebDriver encodes (RFC 4648 §4); anything else in the text is passed over.
fn base64(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    let (mut bits, mut count) = (0_u32, 0);
    for symbol in text.bytes() {
        let value = match symbol {
            b'A'..=b'Z' => symbol - b'A',
            b'a'..=b'z' => symbol - b'a' + 26,
            b'0'..=b'9' => symbol - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => continue,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.extend(u8::try_from(bits >> count & 0xff));
        }
    }
    bytes
}

/// The largest answer that is read: a screenshot.
const BODY_LIMIT: u64 = 64 * 1024 * 1024;

#[cfg(test)]
mod tests {
    #[test]
    fn base64_agrees_with_the_rfc() {
        // RFC 4648 §10.
        for (text, bytes) in
            [("", ""), ("Zg==", "f"), ("Zm8=", "fo"), ("Zm9v", "foo"), ("Zm9vYmFy", "foobar")]
        {
            assert_eq!(super::base64(text), bytes.as_bytes());
        }
    }
}
