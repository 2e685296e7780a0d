//! Two versions of a program on one Redis: a value type that changed makes old entries a miss. Each
//! version runs in a process of its own, as one function with one identity.

use std::process::Command;
use std::time::Duration;

use cache_core::__private::{Given, Instance, Site, Spec, load, lookup, shape};
use cache_core::{Cache, Policy};
use cache_redis::RedisStore;
use cache_tests::server::RedisServer;

const VERSION: &str = "CACHE_TESTS_VERSION";
const URL: &str = "CACHE_TESTS_URL";
const LOADS: &str = "CACHE_TESTS_LOADS";

const fn spec(version: u64) -> Spec {
    Spec {
        module: "versions",
        name: "get",
        kind: "versioned",
        file: "versions.rs",
        line: 1,
        column: 1,
        path: || "versions::get",
        policy: Given::Known(Policy::new().ttl(Duration::from_hours(1))),
        schema: None,
        version,
        own_ttl: false,
        late_tags: false,
        tags: &[],
    }
}

/// What the function is in one version: loads what it has to, and says how often.
macro_rules! version {
    ($name:ident { $($field:ident: $type:ty),* }) => {
        version!($name = 0 { $($field: $type),* });
    };
    ($name:ident = $version:literal { $($field:ident: $type:ty),* }) => {
        async fn $name(cache: &Cache) -> u64 {
            #[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
            struct Value {
                $($field: $type),*
            }
            static SITE: Site = Site::new(spec($version));
            let mut loads = 0;
            let shape = shape!(Value);
            let instance = Instance::SOLE;
            let value = match lookup(&SITE, instance, shape, Some(cache), &(&1_u64,), |_| ()) {
                Ok(value) => value,
                Err(ticket) => {
                    load(ticket, async {
                        loads += 1;
                        Value::default()
                    })
                    .await
                }
            };
            assert_eq!(value, Value::default());
            loads
        }
    };
}

version!(original {
    id: u64,
    a: u32,
    b: u32,
    name: String
});
version!(added {
    id: u64,
    a: u32,
    b: u32,
    name: String,
    more: u8
});
version!(removed {
    id: u64,
    a: u32,
    b: u32
});
version!(renamed {
    id: u64,
    a: u32,
    b: u32,
    title: String
});
version!(retyped {
    id: i64,
    a: u32,
    b: u32,
    name: String
});
version!(reordered {
    id: u64,
    b: u32,
    a: u32,
    name: String
});
// `version = 2`: nothing has changed that could be seen.
version!(
    retired = 2 {
        id: u64,
        a: u32,
        b: u32,
        name: String
    }
);

/// Does nothing unless it is told by the environment which version it is.
#[tokio::test]
async fn one_version() {
    let (Ok(version), Ok(url), Ok(wanted)) = (
        std::env::var(VERSION),
        std::env::var(URL),
        std::env::var(LOADS),
    ) else {
        return;
    };
    let store = RedisStore::new(&url).expect("a good URL");
    let timeout = Duration::from_secs(5);
    let cache = Cache::builder()
        .shared(store)
        .store_timeout(timeout)
        .build();
    let loads = match &*version {
        "original" => original(&cache).await,
        "added" => added(&cache).await,
        "removed" => removed(&cache).await,
        "renamed" => renamed(&cache).await,
        "retyped" => retyped(&cache).await,
        "reordered" => reordered(&cache).await,
        "retired" => retired(&cache).await,
        other => panic!("there is no version {other}"),
    };
    assert_eq!(loads.to_string(), wanted, "loads of version {version}");
}

#[test]
fn a_changed_value_type_is_a_miss_and_an_unchanged_one_a_hit() {
    let server = RedisServer::start();
    let run = |version: &str, loads: &str| {
        let ran = Command::new(std::env::current_exe().expect("it runs"))
            .args(["--exact", "one_version"])
            .env(VERSION, version)
            .env(URL, server.url())
            .env(LOADS, loads)
            .output()
            .expect("it runs once more");
        let said = String::from_utf8_lossy(&ran.stdout);
        assert!(ran.status.success(), "{version}: {said}");
        assert!(said.contains("1 passed"), "{said}");
    };
    run("original", "1");
    run("original", "0");
    for changed in [
        "added",
        "removed",
        "renamed",
        "retyped",
        "reordered",
        "retired",
    ] {
        run(changed, "1");
        run(changed, "0");
        run("original", "1");
    }
    let entries: Vec<String> = server.command(&["KEYS", "cache:e:*"]);
    assert_eq!(entries.len(), 1, "all of them at one key: {entries:?}");
}
