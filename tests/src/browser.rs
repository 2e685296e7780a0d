//! A headless Chromium of one test's own, driven through its `chromedriver`: on a free port, with an
//! empty profile, killed on drop, its log in the panic. Speaks as much of the `WebDriver` protocol as the
//! tests need.

use std::fs::{self, File};
use std::io;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tempfile::TempDir;
use ureq::Agent;

use crate::server::free_port;

/// How long anything may take before the test has failed. Starting a browser on a busy machine is slow.
const DEADLINE: Duration = Duration::from_secs(40);

/// What an element is called in the driver's answers.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// Keys that are no characters, as the driver takes them.
pub mod keys {
    #![allow(missing_docs)]
    pub const TAB: &str = "\u{e004}";
    pub const ENTER: &str = "\u{e007}";
    pub const ESCAPE: &str = "\u{e00c}";
    pub const RIGHT: &str = "\u{e014}";
    pub const SHIFT: &str = "\u{e008}";
}

/// A browser with one window.
pub struct Browser {
    driver: Child,
    session: String,
    client: Agent,
    directory: TempDir,
}

impl Browser {
    /// Starts one, with an empty profile.
    ///
    /// # Panics
    ///
    /// When there is no `chromium` or no `chromedriver`, or they don't come up.
    pub fn start() -> Self {
        let directory = tempfile::tempdir().expect("the temporary directory can be written");
        let port = free_port();
        let log = || File::create(directory.path().join("log")).expect("it can be written");
        let spawned = Command::new("chromedriver")
            .args([
                format!("--port={port}"),
                "--allowed-ips=127.0.0.1".to_owned(),
            ])
            .stdin(Stdio::null())
            .stdout(log())
            .stderr(log())
            .spawn();
        let driver = match spawned {
            Ok(driver) => driver,
            Err(error) if error.kind() == io::ErrorKind::NotFound => panic!(
                "there is no chromedriver: install it with apt-get install chromium chromium-driver"
            ),
            Err(error) => panic!("chromedriver can't be started: {error}"),
        };
        let client = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(DEADLINE))
            .build()
            .into();
        let mut browser = Self {
            driver,
            session: format!("http://127.0.0.1:{port}"),
            client,
            directory,
        };
        let begun = Instant::now();
        while browser.ask("GET", "/status", &Value::Null).is_err() {
            let ended = browser.driver.try_wait().ok().flatten();
            assert!(ended.is_none(), "chromedriver ended:\n{}", browser.log());
            assert!(
                begun.elapsed() < DEADLINE,
                "chromedriver does not answer:\n{}",
                browser.log()
            );
            thread::sleep(Duration::from_millis(20));
        }
        let profile = browser.directory.path().join("profile");
        fs::create_dir(&profile).expect("it can be made");
        let session: Value = browser.send(
            "POST",
            "/session",
            &json!({ "capabilities": { "alwaysMatch": {
                "browserName": "chrome",
                "unhandledPromptBehavior": "ignore",
                "goog:loggingPrefs": { "browser": "ALL" },
                "goog:chromeOptions": { "args": [
                    "--headless=new",
                    "--no-sandbox",
                    "--disable-gpu",
                    "--disable-quic",
                    "--disable-dev-shm-usage",
                    "--no-first-run",
                    "--no-default-browser-check",
                    "--disable-background-networking",
                    "--disable-component-update",
                    "--disable-sync",
                    "--hide-scrollbars",
                    format!("--user-data-dir={}", profile.display()),
                ] },
            } } }),
        );
        let id = session["sessionId"].as_str().unwrap_or_default();
        assert!(!id.is_empty(), "no browser: {session}");
        browser.session = format!("{}/session/{id}", browser.session);
        browser
    }

    /// Opens a page, and waits until it is loaded, its scripts included.
    ///
    /// # Panics
    ///
    /// When it takes longer than the deadline of everything here.
    pub fn open(&self, url: &str) {
        // The driver may answer while the page is still being read, and then what is asked next is
        // answered by a document that no script has run in. The mark tells the one that is left.
        self.run::<()>("window.__left = true");
        let _: Value = self.send("POST", "/url", &json!({ "url": url }));
        let begun = Instant::now();
        while !self.run::<bool>("return !window.__left && document.readyState === 'complete'") {
            assert!(
                begun.elapsed() < DEADLINE,
                "{url} is not loaded:\n{}",
                self.log()
            );
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Runs the body of a function in the page; what it returns.
    ///
    /// # Panics
    ///
    /// When it throws, or returns something else.
    pub fn run<T: DeserializeOwned>(&self, body: &str) -> T {
        let script = json!({ "script": body, "args": [] });
        self.send("POST", "/execute/sync", &script)
    }

    /// Presses keys one after the other, each let go before the next.
    pub fn press(&self, keys: &[&str]) {
        let each = keys.iter().flat_map(|key| {
            [
                json!({ "type": "keyDown", "value": key }),
                json!({ "type": "keyUp", "value": key }),
            ]
        });
        let actions: Vec<Value> = each.collect();
        let keyboard = json!({ "type": "key", "id": "keyboard", "actions": actions });
        let _: Value = self.send("POST", "/actions", &json!({ "actions": [keyboard] }));
    }

    /// Types a text into whatever has the focus.
    pub fn type_text(&self, text: &str) {
        let keys: Vec<String> = text.chars().map(String::from).collect();
        self.press(&keys.iter().map(String::as_str).collect::<Vec<_>>());
    }

    /// Clicks the element that a selector names.
    pub fn click(&self, selector: &str) {
        let by = json!({ "using": "css selector", "value": selector });
        let element: Value = self.send("POST", "/element", &by);
        let element = element[ELEMENT].as_str().unwrap_or_default();
        let _: Value = self.send("POST", &format!("/element/{element}/click"), &json!({}));
    }

    /// Makes the page this wide and high, whatever the window is.
    pub fn size(&self, width: u32, height: u32) {
        self.chrome(
            "Emulation.setDeviceMetricsOverride",
            &json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false }),
        );
    }

    /// Has the system's colours be `dark` or `light`, and motion be reduced, so that pictures stand
    /// still.
    pub fn prefer(&self, scheme: &str) {
        let features = json!([
            { "name": "prefers-color-scheme", "value": scheme },
            { "name": "prefers-reduced-motion", "value": "reduce" },
        ]);
        self.chrome(
            "Emulation.setEmulatedMedia",
            &json!({ "features": features }),
        );
    }

    /// Runs a command of Chromium's own protocol.
    pub fn chrome(&self, command: &str, parameters: &Value) -> Value {
        let body = json!({ "cmd": command, "params": parameters });
        self.send("POST", "/goog/cdp/execute", &body)
    }

    /// A picture of what is seen, as a PNG.
    ///
    /// # Panics
    ///
    /// When there is none.
    pub fn picture(&self) -> Vec<u8> {
        let answer = self.chrome("Page.captureScreenshot", &json!({ "format": "png" }));
        let text = answer["data"].as_str().unwrap_or_default();
        BASE64_STANDARD.decode(text).expect("it is base64")
    }

    /// What the browser's console says, since it was asked last.
    pub fn console(&self) -> Vec<String> {
        let entries: Vec<Value> = self.send("POST", "/se/log", &json!({ "type": "browser" }));
        entries.iter().map(Value::to_string).collect()
    }

    fn send<T: DeserializeOwned>(&self, method: &str, path: &str, body: &Value) -> T {
        let value = self
            .ask(method, path, body)
            .unwrap_or_else(|error| panic!("{method} {path}: {error}\n{}", self.log()));
        serde_json::from_value(value.clone())
            .unwrap_or_else(|error| panic!("{method} {path}: {error}: {value}"))
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> Result<Value, String> {
        let url = format!("{}{path}", self.session);
        let answer = match method {
            "GET" => self.client.get(&url).call(),
            _ => self.client.post(&url).send_json(body),
        };
        let mut answer = answer.map_err(|error| error.to_string())?;
        let status = answer.status();
        let mut json: Value = answer
            .body_mut()
            .with_config()
            .limit(64 << 20)
            .read_json()
            .map_err(|error| error.to_string())?;
        if status.is_success() {
            return Ok(json["value"].take());
        }
        Err(format!(
            "{}: {}",
            json["value"]["error"], json["value"]["message"]
        ))
    }

    fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The driver ends its browser when the session ends; a driver that is killed leaves it behind.
        let _ = self.client.delete(&self.session).call();
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
