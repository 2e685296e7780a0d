//! The expansions raise no warning of the compiler's or of clippy's, whatever a crate turns on: what
//! is allowed below is what the code of this file itself would be warned of. `cargo clippy` is the
//! test; that it runs is another one's.

#![deny(
    warnings,
    future_incompatible,
    keyword_idents,
    let_underscore,
    rust_2018_idioms,
    unused,
    ambiguous_negative_literals,
    explicit_outlives_requirements,
    macro_use_extern_crate,
    meta_variable_misuse,
    missing_abi,
    missing_copy_implementations,
    missing_debug_implementations,
    missing_docs,
    non_ascii_idents,
    redundant_imports,
    redundant_lifetimes,
    single_use_lifetimes,
    trivial_casts,
    trivial_numeric_casts,
    unit_bindings,
    unnameable_types,
    unreachable_pub,
    unused_import_braces,
    unused_lifetimes,
    unused_macro_rules,
    unused_qualifications,
    unused_results,
    variant_size_differences,
    clippy::all,
    clippy::pedantic,
    clippy::nursery,
    clippy::restriction
)]
#![allow(
    clippy::arbitrary_source_item_ordering,
    clippy::assertions_on_result_states,
    clippy::blanket_clippy_restriction_lints,
    clippy::implicit_return,
    clippy::single_call_fn,
    clippy::std_instead_of_core,
    clippy::tests_outside_test_module,
    reason = "all of them are meant, but for what this file is written like"
)]

use std::collections::HashMap;
use std::future::ready;
use std::time::Duration;

use cache_core::{cached, invalidates, updates};

/// What is looked up.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
struct User {
    /// Whose it is.
    id: u64,
    /// How long it holds.
    expires_in: Duration,
}

/// Where it is.
#[derive(Debug)]
struct Db;

/// Every option that brings code of its own.
#[cached(
    kind = "lint_user",
    ttl = "30m",
    tags("user:{id}"),
    tags_with = |user| ["expiring:{user.expires_in.as_secs()}"],
    ttl_with = |user| user.expires_in,
    cache_if = |user| user.id > 0,
    enabled = id < 1000,
    timeout(hard = "2s"),
    jitter = 0.1,
    skip(_db)
)]
async fn user(_db: &Db, id: u64) -> Result<User, String> {
    let expires_in = Duration::from_mins(1);
    ready(Ok(User { id, expires_in })).await
}

/// A plain one.
#[cached(kind = "lint_plain", cache_none)]
fn plain(name: &str) -> Option<usize> {
    name.len().checked_sub(1)
}

/// A generic one.
#[cached(kind = "lint_generic", companions = false)]
fn generic<T: serde::Serialize, const N: usize>(value: T) -> usize {
    drop(value);
    N
}

/// A pattern.
#[cached(kind = "lint_pattern", key(left))]
fn pattern((left, right): (u8, u8)) -> u8 {
    left.max(right)
}

/// Several.
#[cached(kind = "lint_users", each = ids)]
async fn users(ids: &[u64]) -> HashMap<u64, u64> {
    ready(ids.iter().map(|id| (*id, *id)).collect()).await
}

/// One that returns a future.
#[cached(kind = "lint_future")]
fn future(id: u64) -> impl Future<Output = u64> + Send {
    ready(id)
}

/// Writes.
#[invalidates(tags("user:{id}"), of(plain("a")), before, after)]
async fn rename(id: u64) -> Result<(), String> {
    ready(if id > 0 { Ok(()) } else { Err(String::new()) }).await
}

/// Writes nothing.
#[invalidates(kind = "lint_user")]
fn forget() {}

/// Writes, and knows what.
#[updates(user(saved.id), Users::of_type(saved.id))]
async fn save(saved: User) -> Result<User, String> {
    ready(Ok(saved)).await
}

/// Holds them.
#[derive(Debug)]
struct Users {
    /// Whose.
    tenant: u8,
}

/// Reads them.
trait Reads {
    /// One.
    fn read(&self, id: u64) -> impl Future<Output = u64> + Send;
}

impl Reads for Users {
    #[cached(kind = "lint_read", key(self.tenant, id))]
    async fn read(&self, id: u64) -> u64 {
        ready(id.saturating_add(u64::from(self.tenant))).await
    }
}

impl Users {
    /// A method.
    #[cached(kind = "lint_method", key(self.tenant, id), local_only)]
    pub(crate) async fn user(&self, id: u64) -> Option<u64> {
        ready(id.checked_sub(u64::from(self.tenant))).await
    }

    /// No method.
    #[cached(kind = "lint_of_type", method)]
    pub(crate) fn of_type(id: u64) -> Option<User> {
        let user = |seconds| User {
            id,
            expires_in: Duration::from_secs(seconds),
        };
        id.checked_sub(1).map(user)
    }
}

#[tokio::test]
async fn what_is_checked_runs() {
    let found = user(&Db, 1).await;
    assert!(
        save(User {
            id: 1,
            expires_in: Duration::from_secs(1)
        })
        .await
        .is_ok()
    );
    assert_ne!(user(&Db, 1).await, found);
    assert_eq!(rename(1).await, Ok(()));
    assert_eq!(user(&Db, 1).await, found);
    forget();
    assert_eq!(plain("ab"), Some(1));
    assert_eq!(generic::<u8, 3>(1), 3);
    assert_eq!(pattern((1, 2)), 2);
    assert_eq!(users(&[1]).await.len(), 1);
    assert_eq!(future(1).await, 1);
    let users = Users { tenant: 1 };
    assert_eq!(users.read(1).await, 2);
    assert_eq!(users.user(1).await, Some(0));
    assert!(Users::of_type(1).is_some());
}
