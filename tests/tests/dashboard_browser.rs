//! The page in a real browser: it is live, it stays text, it works by keyboard, on a phone, in the dark.

// Functions are written as users write them.
#![allow(clippy::unused_async)]

#[path = "dashboard_browser/fleet.rs"]
mod fleet;
#[path = "dashboard_browser/pages.rs"]
mod pages;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use cache_core::dashboard::Dashboard;
use cache_core::memory::MemoryServer;
use cache_core::{Cache, Env};
use cache_tests::browser::{Browser, keys};
use pages::{HOSTILE, Load, Page, Served, employee, hostile, names, until};

/// A fleet of two nodes that share a store, and the page of the first.
fn two_nodes() -> (MemoryServer, Cache, Cache) {
    let server = MemoryServer::new(Env::system()).report_every(Duration::from_secs(1));
    let cache = || {
        Cache::builder()
            .namespace("shifts")
            .shared(server.store())
            .build()
    };
    let (one, two) = (cache(), cache());
    (server, one, two)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_figures_are_live_and_it_says_when_they_are_not() {
    let (_server, cache, other) = two_nodes();
    let load = [Load::on(&cache), Load::on(&other)];
    let served = Served::start(Dashboard::new(cache.clone()), None).await;
    let browser = Browser::start();
    let page = Page::open(&browser, &served.url("/cache"));

    until("it is live", || page.text("#live-text") == "Live");
    until("kinds are in the table", || {
        page.count("#kinds tbody tr") >= 3
    });
    let calls = || page.cell("#kinds", "schedule", 1);
    until("schedules are called", || calls() > 0);
    for _ in 0..3 {
        let before = calls();
        until("calls come to it", || calls() > before);
        // Never more than there are, nor an older state.
        let kind = cache.snapshot().kinds["schedule"].clone();
        assert!(calls() <= kind.hits() + kind.misses);
    }
    let tile = page.text("#tiles .tile:nth-child(1) .big");
    assert!(tile.ends_with('%'), "{tile}");
    assert!(page.count("#ratio-chart svg path.line") + page.count("#ratio-chart svg circle") > 0);
    assert!(page.count("#latency li") > 0 && page.count("#saved li") > 0);
    assert!(page.text("#state").contains("closed") && page.text("#state").contains("told"));

    // The fleet: both nodes, and figures by minute.
    until("both have reported", || page.count("#nodes tbody tr") == 2);
    browser.run::<()>("document.querySelector('#of-fleet').click()");
    until("it is the fleet's", || {
        page.text("#kinds-note") == "all nodes"
    });
    let of_fleet = calls();
    until("they come from both", || calls() > of_fleet);

    // Nobody looks: nothing is asked for, and what is there is not shown as if it were of now.
    page.hide(true);
    let asked = page.asked();
    until("it says so", || {
        page.text("#live-text").starts_with("Lost touch")
    });
    assert_eq!(page.asked(), asked, "it asked while nobody looked");
    assert_eq!(page.count("main.old"), 1);
    page.hide(false);
    until("it is live again", || page.text("#live-text") == "Live");
    assert_eq!(page.count("main.old"), 0);

    // The service ends, and comes back.
    let port = served.port();
    served.stop().await;
    until("it has lost touch", || {
        page.text("#live-text")
            .starts_with("Lost touch. Figures are from ")
    });
    assert_eq!(page.count("main.old"), 1);
    let served = Served::start(Dashboard::new(cache.clone()), Some(port)).await;
    until("it is live again", || page.text("#live-text") == "Live");
    drop(load);
    page.is_clean(&["ERR_CONNECTION", "ERR_EMPTY_RESPONSE", "ERR_SOCKET"]);
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_names_stay_text() {
    let (server, cache, _) = two_nodes();
    cache.scope(hostile(HOSTILE[0])).await;
    // Whoever can write into the store can report what they like.
    fleet::report_hostile(&server, &HOSTILE).await;
    let dashboard = Dashboard::new(cache.clone())
        .title(HOSTILE.concat())
        .invalidation(true)
        .values(true);
    let served = Served::start(dashboard, None).await;
    let browser = Browser::start();
    let page = Page::open(&browser, &served.url("/cache/"));
    browser.run::<()>("document.querySelector('#of-fleet').click()");
    until("the fleet is there", || {
        page.text("#kinds-note") == "all nodes"
    });
    assert_eq!(page.text("#title"), HOSTILE.concat());
    assert_eq!(page.text("title"), HOSTILE.concat());
    let titles = |within: &str| -> Vec<String> {
        let script = format!(
            "return [...document.querySelectorAll('{within} bdi')].map((one) => one.title)"
        );
        browser.run(&script)
    };
    for name in HOSTILE {
        let kinds = titles("#kinds tbody");
        assert!(kinds.iter().any(|kind| kind == name), "{name:?}: {kinds:?}");
        let shown = page.text("#nodes");
        // What turns a text around is written out.
        let seen = name.replace('\u{202e}', "\\u202e");
        assert!(shown.contains(&seen), "{seen:?} is not in {shown:?}");
    }
    // A key, its tags and its value; and a key that is made up.
    let key = hostile::key(HOSTILE[0]).expect("a key").to_string();
    page.look_up(&key);
    until("it is found", || {
        page.text("#found").contains("In this process")
    });
    until("its value is there", || page.count("#found .value") == 1);
    let value = page.text("#found .value");
    assert!(value.contains("<img src=x onerror="), "{value}");
    let tags = titles("#found .chips");
    for tag in names::TAGS {
        assert!(tags.iter().any(|shown| shown == tag), "{tag:?}: {tags:?}");
    }
    let button = format!("drop tag {}", names::TAGS[0]);
    page.press_until_focused(&button);
    browser.press(&[keys::ENTER]);
    assert_eq!(page.text("#sure-name"), names::TAGS[0]);
    browser.press(&[keys::ESCAPE]);
    // The focus goes back a moment later.
    until("it is closed", || page.count("dialog[open]") == 0);
    until("the focus is back", || {
        page.focused("dataset.focus") == button
    });
    page.look_up("made_up:up:<img/src=x/onerror=window.__pwned=1>");
    until("it says so", || {
        page.text("#found .found-key")
            .starts_with("made_up:up:<img/src=x/onerror=window.__pwned=1>")
    });
    page.look_up("<img src=x onerror=window.__pwned=1>");
    until("it is no key", || page.text("#found").contains("is no key"));

    let pwned: bool = browser.run("return window.__pwned !== undefined || window.__alerts > 0");
    assert!(!pwned, "a name was run");
    let made: u32 = browser.run("return document.querySelectorAll('img, iframe, object').length");
    assert_eq!(made, 0, "a name became an element");
    // No name is so long, or written so, that it breaks the page.
    assert!(page.fits(), "it is wider than the window");
    page.is_clean(&["400 (Bad Request)"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invalidation_by_keyboard_asks_first() {
    let (_server, cache, _) = two_nodes();
    cache.scope(employee(7)).await;
    cache.scope(employee(8)).await;
    let is_cached = |id| {
        let (cache, key) = (cache.clone(), employee::key(id).expect("a key"));
        tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(cache.inspect(&key))
        })
        .is_valid()
    };
    let dashboard = Dashboard::new(cache.clone()).invalidation(true);
    let served = Served::start(dashboard, None).await;
    let browser = Browser::start();
    let page = Page::open(&browser, &served.url("/cache"));
    until("it is live", || page.text("#live-text") == "Live");

    // The first stop leads past everything to the figures.
    browser.press(&[keys::TAB]);
    assert_eq!(page.focused("className"), "skip");
    assert!(page.focus_is_visible());

    browser.press(&["/"]);
    assert_eq!(page.focused("id"), "key");
    let key = employee::key(7).expect("a key").to_string();
    browser.type_text(&key);
    browser.press(&[keys::ENTER]);
    until("it is found", || {
        page.text("#found").contains("In the shared tier")
    });
    assert!(page.text("#found").contains("user:7"));

    let button = format!("drop key {key}");
    page.press_until_focused(&button);
    assert!(page.focus_is_visible());
    browser.press(&[keys::ENTER]);
    assert_eq!(page.count("dialog[open]"), 1);
    assert_eq!(page.text("#sure-head"), "Invalidate this key?");
    assert_eq!(page.text("#sure-name"), key);
    // What has the focus keeps everything, and so does Escape.
    assert_eq!(page.focused("id"), "sure-no");
    assert!(page.focus_is_visible());
    browser.press(&[keys::ENTER]);
    until("it is closed", || page.count("dialog[open]") == 0);
    until("the focus is back", || {
        page.focused("dataset.focus") == button
    });
    browser.press(&[keys::ENTER]);
    assert_eq!(page.count("dialog[open]"), 1);
    browser.press(&[keys::ESCAPE]);
    until("it is closed", || page.count("dialog[open]") == 0);
    until("the focus is back", || {
        page.focused("dataset.focus") == button
    });
    assert!(is_cached(7) && is_cached(8));
    assert_eq!(cache.snapshot().invalidations_applied, 0);

    browser.press(&[keys::ENTER, keys::TAB]);
    assert_eq!(page.focused("id"), "sure-yes");
    browser.press(&[keys::ENTER]);
    until("it says so", || {
        page.text("#outcome").contains("Applied: the key")
    });
    assert!(!is_cached(7) && is_cached(8));
    until("it shows so", || page.text("#found").contains("nothing"));

    // A tag, by its name, and a kind, from the table.
    cache.scope(employee(7)).await;
    page.press_until_focused_id("drop-name");
    browser.type_text("user:8");
    browser.press(&[keys::ENTER]);
    assert_eq!(page.text("#sure-head"), "Invalidate this tag?");
    browser.press(&[keys::TAB, keys::ENTER]);
    until("it says so", || {
        page.text("#outcome").contains("Applied: the tag user:8")
    });
    assert!(is_cached(7) && !is_cached(8));
    page.press_until_focused("drop kind employee");
    browser.press(&[keys::ENTER]);
    assert_eq!(page.text("#sure-name"), "employee");
    assert!(page.text("#sure-text").contains("Every entry of this kind"));
    browser.press(&[keys::TAB, keys::ENTER]);
    until("it says so", || {
        page.text("#outcome").contains("Applied: the kind employee")
    });
    assert!(!is_cached(7));
    assert_eq!(cache.snapshot().invalidations_applied, 3);
    page.is_clean(&[]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_can_be_reached_by_keyboard_and_keeps_the_focus() {
    let (_server, cache, _) = two_nodes();
    let load = Load::on(&cache);
    let served = Served::start(Dashboard::new(cache.clone()).invalidation(true), None).await;
    let browser = Browser::start();
    let page = Page::open(&browser, &served.url("/cache"));
    until("kinds are in the table", || {
        page.count("#kinds tbody tr") >= 3
    });
    // What is drawn anew every two seconds keeps the focus.
    page.press_until_focused("drop kind schedule");
    let before = page.cell("#kinds", "schedule", 1);
    until("it was drawn anew", || {
        page.cell("#kinds", "schedule", 1) > before
    });
    assert_eq!(page.focused("dataset.focus"), "drop kind schedule");
    // The chart reads single moments out.
    page.press_until_focused("ratios");
    browser.press(&[keys::RIGHT]);
    until("it reads a moment", || {
        page.text(".readout").contains("all kinds")
    });
    drop(load);
    // Every control is one of the stops. What is drawn anew meanwhile is another element of the same name.
    browser.run::<()>("document.activeElement.blur(); window.scrollTo(0, 0)");
    browser.run::<()>("window.__name = (one) => one.dataset.focus ?? one");
    let controls: u32 = browser.run(
        "return new Set([...document.querySelectorAll('a[href], button, input, select, summary')] \
         .filter((one) => one.checkVisibility() && !(one.type === 'radio' && !one.checked)) \
         .map(window.__name)).size",
    );
    browser.run::<()>("window.__stops = new Set()");
    for _ in 0..controls + 20 {
        browser.press(&[keys::TAB]);
        browser.run::<()>(
            "if (document.activeElement.matches('a[href], button, input, select, summary')) \
             window.__stops.add(window.__name(document.activeElement))",
        );
    }
    let stops: u32 =
        browser.run("return [...window.__stops].filter((one) => one.isConnected ?? true).length");
    assert_eq!(stops, controls);
    page.is_clean(&[]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_that_is_read_only_offers_nothing_else() {
    let (_server, cache, _) = two_nodes();
    cache.scope(employee(7)).await;
    let served = Served::start(Dashboard::new(cache.clone()), None).await;
    let browser = Browser::start();
    let page = Page::open(&browser, &served.url("/cache"));
    until("it is live", || page.text("#live-text") == "Live");
    page.look_up(&employee::key(7).expect("a key").to_string());
    until("it is found", || page.text("#found").contains("user:7"));
    let offered: u32 = browser.run(
        "return [...document.querySelectorAll('.danger')].filter((one) => one.checkVisibility()).length",
    );
    assert_eq!(offered, 0);
    assert_eq!(page.count("#found .value"), 0);
    let sent = page.post("invalidate", "same-origin");
    assert_eq!(sent, "403");
    assert!(
        cache
            .inspect(&employee::key(7).expect("a key"))
            .await
            .is_valid()
    );
    page.is_clean(&["403 (Forbidden)"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_sites_page_can_neither_read_nor_invalidate() {
    let (_server, cache, _) = two_nodes();
    cache.scope(employee(7)).await;
    let served = Served::start(Dashboard::new(cache.clone()).invalidation(true), None).await;
    let evil = Served::plain("<!doctype html><title>evil</title>").await;
    let browser = Browser::start();
    for host in ["127.0.0.1", "localhost"] {
        let page = Page::open(&browser, &format!("http://{host}:{}/", evil.port()));
        let target = served.url("/cache/invalidate");
        for mode in ["no-cors", "cors"] {
            page.post(&target, mode);
        }
        // A form, which needs no script's leave.
        browser.run::<()>(&format!(
            "const form = document.createElement('form'); form.method = 'post'; form.action = '{target}'; \
             form.enctype = 'text/plain'; const field = document.createElement('input'); \
             field.name = '{{\"kind\": \"employee\", \"x\": \"'; field.value = '\"}}'; \
             form.append(field); document.body.append(form); form.submit()",
        ));
        until("it is answered", || {
            browser
                .run::<String>("return document.body?.textContent ?? ''")
                .contains("error")
        });
        let page = Page::open(&browser, &format!("http://{host}:{}/", evil.port()));
        assert_eq!(page.post(&served.url("/cache/data.json"), "get"), "refused");
    }
    assert!(
        cache
            .inspect(&employee::key(7).expect("a key"))
            .await
            .is_valid()
    );
    assert_eq!(cache.snapshot().invalidations_applied, 0);
}

/// Where pictures go: beside the documents where that is asked for, else nowhere in particular.
fn pictures() -> (PathBuf, Option<tempfile::TempDir>) {
    if std::env::var_os("UPDATE_SCREENSHOTS").is_some() {
        return (
            PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs")),
            None,
        );
    }
    let directory = tempfile::tempdir().expect("the temporary directory can be written");
    (directory.path().to_owned(), Some(directory))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_can_be_read_in_the_light_in_the_dark_and_on_a_phone() {
    let server = fleet::with_a_past().await;
    let cache = Cache::builder()
        .namespace("shifts")
        .policy("setings", cache_core::Policy::new())
        .shared(server.store())
        .build();
    cache.scope(pages::schedule(7, 47)).await;
    cache.scope(pages::schedule(7, 47)).await;
    let dashboard = Dashboard::new(cache.clone())
        .invalidation(true)
        .title("Shift planning");
    let served = Served::start(dashboard, None).await;
    let browser = Browser::start();
    let (directory, _kept) = pictures();
    for (name, scheme, width, height) in [
        ("page-light.png", "light", 1360, 1500),
        ("page-dark.png", "dark", 1360, 1500),
        ("page-phone.png", "light", 390, 1500),
    ] {
        browser.prefer(scheme);
        browser.size(width, height);
        let page = Page::open(&browser, &served.url("/cache"));
        browser.run::<()>(
            "document.querySelector('#of-fleet').click(); document.querySelector('[value=\"1h\"]').click()",
        );
        until("the fleet is there", || {
            page.text("#ratio-note").starts_with("all nodes") && page.count("#nodes tbody tr") == 4
        });
        page.look_up(&pages::schedule::key(7, 47).expect("a key").to_string());
        until("it is found", || {
            page.text("#found").contains("In the shared tier")
        });
        // The gap of the past is hatched, and no line goes through it.
        assert_eq!(page.count("#ratio-chart .gap"), 1);
        assert_eq!(page.count("#ratio-chart path.line.all"), 2);
        assert_eq!(page.unreadable(), Vec::<String>::new(), "{name}");
        assert!(page.fits(), "{name} is wider than the window");
        // The bright one shows the upper end of the page, and the dark one the lower.
        let end = if scheme == "dark" {
            "document.body.scrollHeight"
        } else {
            "0"
        };
        browser.run::<()>(&format!(
            "document.activeElement.blur(); window.scrollTo(0, {end})"
        ));
        let picture = browser.picture();
        assert!(picture.starts_with(b"\x89PNG"));
        // A blank page of this size takes a few thousand bytes.
        assert!(
            (30_000..300_000).contains(&picture.len()),
            "{name}: {} bytes",
            picture.len()
        );
        fs::write(directory.join(name), picture).expect("it can be written");
        page.is_clean(&[]);
    }
    // The narrowest phone there is.
    browser.size(360, 740);
    let page = Page::open(&browser, &served.url("/cache"));
    until("it is live", || page.text("#live-text") == "Live");
    page.look_up(&pages::schedule::key(7, 47).expect("a key").to_string());
    until("it is found", || {
        page.text("#found").contains("In the shared tier")
    });
    assert!(page.fits(), "it is wider than 360 pixels");

    // What was chosen holds against the system, and when the page is loaded again, from the start.
    let theme = || browser.run::<String>("return document.documentElement.dataset.theme ?? 'auto'");
    let page_is_dark = || {
        browser.run::<bool>(
            "return getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)[0] < 60",
        )
    };
    assert_eq!((theme().as_str(), page_is_dark()), ("auto", false));
    browser.click("#theme");
    browser.click("#theme");
    assert_eq!((theme().as_str(), page_is_dark()), ("dark", true));
    Page::open(&browser, &served.url("/cache"));
    assert_eq!((theme().as_str(), page_is_dark()), ("dark", true));
    let painted: bool = browser.run("return window.__dark_from_the_start === true");
    assert!(painted, "it was light until its scripts had run");
    let moving: String =
        browser.run("return getComputedStyle(document.querySelector('.dot')).animationName");
    assert_eq!(moving, "none");
}
