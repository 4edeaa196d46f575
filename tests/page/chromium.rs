//! Headless Chromium, spoken to in the DevTools protocol over two named pipes: a JSON object and a zero octet for each message.

use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use notariat_lab::Scratch;
use notariat_lab::tools::{cached, output, tool};
use serde_json::{Value, json};

/// The longest that a browser lives, in seconds: only a hang meets it.
const LIFETIME: &str = "900";

/// A browser with one tab.
pub struct Chromium {
    child: Child,
    to: File,
    from: BufReader<File>,
    session: String,
    calls: u64,
    _scratch: Scratch,
}

/// How a page is looked at.
#[derive(Clone, Copy, Debug)]
pub struct View {
    pub width: u32,
    pub height: u32,
    pub dark: bool,
    /// As on paper.
    pub print: bool,
}

impl View {
    pub const fn of(width: u32) -> View {
        View { width, height: 900, dark: false, print: false }
    }
}

impl Chromium {
    pub fn start() -> Chromium {
        let scratch = Scratch::new("browser");
        let (to, from) = (scratch.join("to"), scratch.join("from"));
        output(Command::new("mkfifo").args([&to, &from]));
        // The protocol is spoken on the descriptors 3 and 4.
        let mut command = Command::new(tool("bash"));
        command.args(["-c", "exec timeout --kill-after=5 \"$0\" \"${@:3}\" 3<\"$1\" 4>\"$2\"", LIFETIME]);
        command.args([&to, &from]).arg(tool("chromium"));
        command.args(["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run"]);
        command.args(["--disable-dev-shm-usage", "--remote-debugging-pipe"]);
        command.arg(format!("--user-data-dir={}", scratch.path().join("profile").display()));
        let null = || Stdio::null();
        let child = command.stdin(null()).stdout(null()).stderr(null()).spawn().unwrap();
        let to = OpenOptions::new().write(true).open(to).unwrap();
        let from = BufReader::new(File::open(from).unwrap());
        let mut browser = Chromium { child, to, from, session: String::new(), calls: 0, _scratch: scratch };
        let target = browser.call("Target.createTarget", json!({"url": "about:blank"}))["targetId"].clone();
        let attached = browser.call("Target.attachToTarget", json!({"targetId": target, "flatten": true}));
        attached["sessionId"].as_str().unwrap().clone_into(&mut browser.session);
        browser.call("Page.enable", json!({}));
        browser
    }

    fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.calls += 1;
        let mut message = json!({"id": self.calls, "method": method, "params": parameters});
        if !self.session.is_empty() {
            message["sessionId"] = self.session.as_str().into();
        }
        self.to.write_all(message.to_string().as_bytes()).and_then(|()| self.to.write_all(&[0])).unwrap();
        let id = Value::from(self.calls);
        let mut answer = self.until(|message| message["id"] == id);
        assert!(answer["error"].is_null(), "{method}: {}", answer["error"]);
        answer["result"].take()
    }

    fn until(&mut self, is_meant: impl Fn(&Value) -> bool) -> Value {
        loop {
            let mut octets = Vec::new();
            self.from.read_until(0, &mut octets).unwrap();
            assert_eq!(octets.pop(), Some(0), "the browser ended");
            let message: Value = serde_json::from_slice(&octets).unwrap();
            if is_meant(&message) {
                return message;
            }
        }
    }

    /// Loads a page.
    pub fn load(&mut self, url: &str) {
        let went = self.call("Page.navigate", json!({"url": url}));
        assert!(went["errorText"].is_null(), "{url}: {went}");
        self.until(|message| message["method"] == "Page.loadEventFired");
    }

    /// Sets the size of the window and what it is.
    pub fn set(&mut self, View { width, height, dark, print }: View) {
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.call("Emulation.setDeviceMetricsOverride", size);
        let scheme = if dark { "dark" } else { "light" };
        let features = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        let media = if print { "print" } else { "screen" };
        self.call("Emulation.setEmulatedMedia", json!({"media": media, "features": features}));
    }

    /// The value of an expression, which may be a promise.
    pub fn value(&mut self, expression: &str) -> Value {
        let asked = json!({"expression": expression, "awaitPromise": true, "returnByValue": true});
        let mut found = self.call("Runtime.evaluate", asked);
        assert!(found["exceptionDetails"].is_null(), "{expression}: {}", found["exceptionDetails"]);
        found["result"]["value"].take()
    }

    /// The tree that the browser made of the page.
    pub fn tree(&mut self) -> String {
        self.value("document.documentElement.outerHTML").as_str().unwrap().to_owned()
    }

    /// The findings of axe-core against WCAG 2.2 AA and good practice, a line each.
    pub fn axe(&mut self) -> Vec<String> {
        self.value(&format!("{};0", cached("axe/node_modules/axe-core/axe.min.js")));
        let tags = json!(["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]);
        let found = self.value(&format!(
            "axe.run({{runOnly: {tags}, resultTypes: ['violations', 'incomplete']}}).then(r => \
             [r.passes.length, [...r.violations, ...r.incomplete].map(v => v.id + ': ' + v.help + ': ' + v.nodes.length + \
             ' of ' + v.nodes.slice(0, 3).map(n => n.html.slice(0, 200) + ' ' + (n.any[0] || {{}}).message).join(' | '))])"
        ));
        assert!(found[0].as_u64().unwrap() > 15, "axe looked at the page: {found}");
        found[1].as_array().unwrap().iter().map(|line| line.as_str().unwrap().to_owned()).collect()
    }

    /// Draws the page from its top, `most` pixels at most.
    pub fn draw(&mut self, to: &Path, most: u32) {
        let size = self.call("Page.getLayoutMetrics", json!({}))["cssContentSize"].clone();
        let height = size["height"].as_f64().unwrap().min(f64::from(most));
        let clip = json!({"x": 0, "y": 0, "width": size["width"], "height": height, "scale": 1});
        let drawn = self.call("Page.captureScreenshot", json!({"clip": clip, "captureBeyondViewport": true}));
        let picture = STANDARD.decode(drawn["data"].as_str().unwrap()).unwrap();
        assert!(picture.len() > 2_000, "{} is drawn", to.display());
        std::fs::write(to, picture).unwrap();
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        // `timeout` passes the signal on.
        notariat_lab::process::signal(self.child.id(), "TERM");
        self.child.wait().ok();
    }
}
