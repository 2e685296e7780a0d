//! What the store logs: that it lost Redis and found it again, and no secret.

use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex};

use cache_core::store::{Read, Store};
use cache_redis::RedisStore;
use cache_tests::fixture::attach;
use cache_tests::server::{RedisServer, until};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

const SECRET: &str = "Tr0ub4dorX";

/// Keeps every line that is logged, at every level, by everybody.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<String>>);

struct Line<'a>(&'a mut String);

impl Visit for Line<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a string does not fail.
        let _ = write!(self.0, " {field}={value:?}");
    }
}

impl Subscriber for Lines {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, span: &Attributes<'_>) -> Id {
        span.record(&mut Line(&mut self.0.lock().unwrap()));
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, values: &Record<'_>) {
        values.record(&mut Line(&mut self.0.lock().unwrap()));
    }
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        let mut lines = self.0.lock().unwrap();
        let _ = write!(
            lines,
            "\n{} {}:",
            event.metadata().level(),
            event.metadata().target()
        );
        event.record(&mut Line(&mut lines));
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[tokio::test]
async fn a_loss_is_logged_and_the_password_is_not() {
    let lines = Lines::default();
    tracing::subscriber::set_global_default(lines.clone()).unwrap();
    let logged = |part: &str| lines.0.lock().unwrap().contains(part);

    let mut server = RedisServer::options().password(SECRET).start();
    let store = RedisStore::new(&server.url()).unwrap();
    let _events = attach(&store);
    store.probe().await.unwrap();
    server.kill();
    until("the loss is logged", async || {
        logged("lost the connection to Redis")
    })
    .await;
    until("the failure to connect is logged", async || {
        logged("no connection to Redis")
    })
    .await;
    server.restart();
    until("it heals", async || store.probe().await.is_ok()).await;
    assert!(logged("connected to Redis again"));

    let refused = RedisStore::builder(&server.url())
        .unwrap()
        .password(format!("{SECRET}2"));
    let refused = refused.build().unwrap();
    let _others = attach(&refused);
    refused.read(Read::new("key", &[])).await.unwrap_err();
    assert!(logged("percent-encoded"));

    let lines = lines.0.lock().unwrap();
    assert!(lines.contains("redis://:***@127.0.0.1"), "{lines}");
    assert!(!lines.contains(SECRET), "{lines}");
}
