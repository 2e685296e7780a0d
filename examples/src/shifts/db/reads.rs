//! How often a request read from the database: what its answer cost, told in a header.

use std::cell::Cell;
use std::future::Future;

tokio::task_local! {
    static READS: Cell<u32>;
}

/// Runs a request; returns how often it has read, too. What another request loads, and this one waits
/// for, is the other's.
pub(in crate::shifts) async fn counted<T>(request: impl Future<Output = T>) -> (T, u32) {
    let counted = async {
        let answer = request.await;
        (answer, READS.get().get())
    };
    // A cell of its own for each request: nothing is shared.
    READS.scope(Cell::new(0), counted).await
}

/// Counts one, where a request is under way.
pub(super) fn count() {
    let _ = READS.try_with(|reads| reads.set(reads.get() + 1));
}
