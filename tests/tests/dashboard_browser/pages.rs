//! What the browser's tests share: a server with the page, something that calls cached functions, and what
//! is asked of a page.

use std::fmt::Debug;
use std::net::{Ipv4Addr, SocketAddr};
use std::thread;
use std::time::{Duration, Instant};

use axum::Router;
use axum::response::Html;
use axum::routing::get;
use cache_core::dashboard::Dashboard;
use cache_core::{Cache, cached};
use cache_tests::browser::{Browser, keys};
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinHandle;

/// What somebody may try to be called.
pub(crate) const HOSTILE: [&str; 5] = [
    "\"><img src=x onerror=window.__pwned=1>",
    "</script><script>window.__pwned=1</script>",
    "'-alert(1)-'{{7*7}}${alert(1)}&lt;b&gt;",
    "gnp.\u{202e}exe.txt",
    "very_long_very_long_very_long_very_long_very_long_very_long_very_long_very_long_very_long_very_long_very_long_very_long_very_long_very_long_",
];

/// What tags may be called: as hostile as what a program writes can be.
pub(crate) mod names {
    pub(crate) const TAGS: [&str; 3] = [
        "\"><img/src=x/onerror=window.__pwned=1>",
        "</script><script>window.__pwned=1</script>",
        "tag\u{202e}gat",
    ];
}

#[cached(
    kind = "schedule",
    ttl = "1h",
    tags("schedule:{workplace}:{week}", "workplace:{workplace}")
)]
pub(crate) async fn schedule(workplace: u64, week: u32) -> Vec<String> {
    tokio::time::sleep(Duration::from_millis(12)).await;
    vec![format!("early shift of {workplace} in week {week}")]
}

#[cached(kind = "employee", ttl = "30m", tags("user:{id}"))]
pub(crate) async fn employee(id: u64) -> String {
    tokio::time::sleep(Duration::from_millis(4)).await;
    format!("employee {id}")
}

#[cached(kind = "job", ttl = "10m")]
pub(crate) async fn job(id: u64) -> Option<u64> {
    Some(id)
}

#[cached(
    kind = "hostile",
    ttl = "1h",
    tags(
        "\"><img/src=x/onerror=window.__pwned=1>",
        "</script><script>window.__pwned=1</script>",
        "tag\u{202e}gat"
    )
)]
pub(crate) async fn hostile(name: &str) -> String {
    name.to_owned()
}

/// Calls cached functions on a cache until it is dropped.
pub(crate) struct Load(JoinHandle<()>);

impl Load {
    pub(crate) fn on(cache: &Cache) -> Self {
        let calls = cache.scope(async {
            for round in 0_u64.. {
                schedule(round % 5, 40 + u32::try_from(round % 7).unwrap_or(0)).await;
                employee(round % 30).await;
                // Each is another one: it always misses.
                job(round).await;
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        });
        Self(tokio::spawn(calls))
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A service on a port of the loopback.
pub(crate) struct Served {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Served {
    /// Serves the page under `/cache` and `/cache/`, on this port or any.
    pub(crate) async fn start(dashboard: Dashboard, port: Option<u16>) -> Self {
        let router = Router::new().nest_service("/cache", dashboard.router());
        Self::serve(router, port.unwrap_or(0)).await
    }

    /// Serves a page of another site.
    pub(crate) async fn plain(page: &'static str) -> Self {
        Self::serve(Router::new().route("/", get(Html(page))), 0).await
    }

    async fn serve(router: Router, port: u16) -> Self {
        let socket = TcpSocket::new_v4().expect("there are sockets");
        // The port may have connections that are not forgotten yet.
        socket.set_reuseaddr(true).expect("it is an option");
        socket
            .bind((Ipv4Addr::LOCALHOST, port).into())
            .expect("the port is free");
        let listener: TcpListener = socket.listen(64).expect("it can be listened on");
        let address = listener.local_addr().expect("it has one");
        let task = tokio::spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        Self { address, task }
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Ends it, and waits until nothing listens any more.
    pub(crate) async fn stop(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

/// Waits, on this thread, until something is so.
pub(crate) fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        let waited = begun.elapsed();
        assert!(
            waited < Duration::from_secs(40),
            "waited in vain until {what}"
        );
        thread::sleep(Duration::from_millis(50));
    }
}

/// A page in a browser.
pub(crate) struct Page<'a> {
    browser: &'a Browser,
}

/// Runs in each page before its own scripts: notes what goes wrong.
const WITNESS: &str = "window.__wrong = []; window.__alerts = 0; window.alert = () => { window.__alerts += 1; }; \
    addEventListener('error', (event) => window.__wrong.push(String(event.message ?? event.target)), true); \
    addEventListener('unhandledrejection', (event) => window.__wrong.push(String(event.reason))); \
    document.addEventListener('securitypolicyviolation', (event) => \
        window.__wrong.push(`${event.violatedDirective} ${event.blockedURI}`)); \
    new MutationObserver((_, observer) => { if (document.body) { \
        window.__dark_from_the_start = document.documentElement.dataset.theme === 'dark'; observer.disconnect(); } }) \
        .observe(document, { childList: true, subtree: true });";

impl<'a> Page<'a> {
    pub(crate) fn open(browser: &'a Browser, url: &str) -> Self {
        browser.chrome("Page.enable", &serde_json::json!({}));
        let witness = serde_json::json!({ "source": WITNESS });
        browser.chrome("Page.addScriptToEvaluateOnNewDocument", &witness);
        browser.open(url);
        Self { browser }
    }

    /// The text of what a selector names first; nothing where there is none.
    pub(crate) fn text(&self, selector: &str) -> String {
        self.read(&format!(
            "return document.querySelector({selector:?})?.textContent ?? ''"
        ))
    }

    pub(crate) fn count(&self, selector: &str) -> usize {
        self.read(&format!(
            "return document.querySelectorAll({selector:?}).length"
        ))
    }

    /// A number in a table, by the name of its row.
    pub(crate) fn cell(&self, table: &str, row: &str, column: usize) -> u64 {
        let text: String = self.read(&format!(
            "const row = [...document.querySelectorAll('{table} tbody tr')] \
                 .find((one) => one.children[0].textContent === '{row}'); \
             return row?.children[{column}].textContent ?? ''"
        ));
        let digits: String = text.chars().filter(char::is_ascii_digit).collect();
        digits.parse().unwrap_or(0)
    }

    /// A property of whatever has the focus.
    pub(crate) fn focused(&self, property: &str) -> String {
        self.read(&format!("return document.activeElement.{property} ?? ''"))
    }

    pub(crate) fn focus_is_visible(&self) -> bool {
        self.read(
            "const style = getComputedStyle(document.activeElement); \
             return style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2",
        )
    }

    /// Presses Tab until the thing of this name has the focus.
    pub(crate) fn press_until_focused(&self, name: &str) {
        self.tab_until(|| self.focused("dataset.focus") == name, name);
    }

    pub(crate) fn press_until_focused_id(&self, id: &str) {
        self.tab_until(|| self.focused("id") == id, id);
    }

    fn tab_until(&self, mut is_there: impl FnMut() -> bool, name: &str) {
        for _ in 0..120 {
            if is_there() {
                return;
            }
            self.browser.press(&[keys::TAB]);
        }
        panic!("Tab does not reach {name:?}");
    }

    /// Looks a key up, as people do.
    pub(crate) fn look_up(&self, key: &str) {
        self.browser
            .run::<()>("document.activeElement.blur(); document.querySelector('#key').value = ''");
        self.browser.press(&["/"]);
        self.browser.type_text(key);
        self.browser.press(&[keys::ENTER]);
    }

    /// Has the page believe that nobody sees it.
    pub(crate) fn hide(&self, hidden: bool) {
        self.browser.run::<()>(&format!(
            "Object.defineProperty(document, 'hidden', {{ value: {hidden}, configurable: true }}); \
             document.dispatchEvent(new Event('visibilitychange'))"
        ));
    }

    /// How often it has asked for its figures.
    pub(crate) fn asked(&self) -> usize {
        self.read(
            "return performance.getEntriesByType('resource').filter((one) => one.name.includes('data.json')).length",
        )
    }

    /// Sends what the page would send, from whatever page this is: the status, or `refused`.
    pub(crate) fn post(&self, url: &str, mode: &str) -> String {
        self.browser.run::<()>(&format!(
            "window.__sent = ''; const get = '{mode}' === 'get', mode = get ? 'cors' : '{mode}'; \
             const headers = {{ 'content-type': mode === 'no-cors' ? 'text/plain' : 'application/json' }}; \
             if (mode !== 'no-cors') headers['x-cache-dashboard'] = '1'; \
             const base = document.querySelector('script[type=module]')?.src ?? location.href; \
             fetch(new URL('{url}', base), get ? {{}} : \
                 {{ method: 'POST', mode, headers, body: '{{\"kind\":\"employee\"}}' }}) \
                 .then((answer) => {{ window.__sent = String(answer.status); }}, () => {{ window.__sent = 'refused'; }})"
        ));
        let sent = || self.read::<String>("return window.__sent");
        until("it is answered", || !sent().is_empty());
        sent()
    }

    /// Whether nothing is wider than the window.
    pub(crate) fn fits(&self) -> bool {
        self.read(
            "return document.documentElement.scrollWidth <= document.documentElement.clientWidth",
        )
    }

    /// Texts whose contrast to what is behind them is too low (WCAG AA: 4.5, and 3 where it is large).
    pub(crate) fn unreadable(&self) -> Vec<String> {
        self.read(include_str!("contrast.js"))
    }

    /// Panics unless nothing went wrong in the page, but for what the test has brought about, and nothing
    /// was asked of anybody else.
    pub(crate) fn is_clean(&self, but: &[&str]) {
        let wrong: Vec<String> = self.read("return window.__wrong");
        assert_eq!(wrong, Vec::<String>::new());
        let console = self.browser.console();
        let mut others = console
            .iter()
            .filter(|line| !but.iter().any(|known| line.contains(known)));
        assert_eq!(others.next(), None, "{console:?}");
        let foreign: Vec<String> = self.read(
            "return performance.getEntriesByType('resource').map((one) => one.name) \
                 .filter((name) => !name.startsWith(location.origin + '/'))",
        );
        assert_eq!(foreign, Vec::<String>::new());
    }

    fn read<T: serde::de::DeserializeOwned + Debug>(&self, script: &str) -> T {
        self.browser.run(script)
    }
}
