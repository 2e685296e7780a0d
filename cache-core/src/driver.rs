//! The driver: one thread with a runtime of its own, for timers, connections and tasks that outlive
//! a call. Plain functions can wait for it from anywhere, and a test's runtime ending does not kill it.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use tokio::runtime::{Builder, Handle};
use tokio::task::unconstrained;

/// A boxed future, as the methods of [`Store`](crate::store::Store) return it.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The runtime's handle; the thread is started on first use and lives as long as the process.
pub(crate) fn handle() -> &'static Handle {
    static HANDLE: OnceLock<Handle> = OnceLock::new();
    HANDLE.get_or_init(start)
}

fn start() -> Handle {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("the cache's driver needs a file descriptor for its reactor");
    let handle = runtime.handle().clone();
    thread::Builder::new()
        .name("cache-driver".into())
        .spawn(move || {
            HERE.set(true);
            runtime.block_on(std::future::pending::<()>());
        })
        .expect("the cache's driver needs a thread");
    handle
}

thread_local! {
    static HERE: Cell<bool> = const { Cell::new(false) };
}

/// Whether this is the driver's own thread, on which nobody may wait for what it drives.
pub(crate) fn is_here() -> bool {
    HERE.try_with(Cell::get).unwrap_or(false)
}

/// Waits for `future` on this thread, without a runtime: what it waits for is driven elsewhere.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut output = None;
    loop {
        wait(&mut |context| match future.as_mut().poll(context) {
            Poll::Ready(ended) => {
                output = Some(ended);
                Poll::Ready(())
            }
            Poll::Pending => Poll::Pending,
        });
        if let Some(output) = output {
            return output;
        }
    }
}

/// Polls until it is ready. Apart from [`block_on`], which is compiled for each future.
fn wait(poll: &mut dyn FnMut(&mut Context<'_>) -> Poll<()>) {
    // On a thread of a tokio runtime its cooperative budget applies, and nobody here would ever
    // replenish it: once spent, every poll would end at once, for ever.
    let mut future = pin!(unconstrained(poll_fn(poll)));
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    while future.as_mut().poll(&mut context).is_pending() {
        thread::park();
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_on_a_runtime_s_thread_does_not_use_up_its_budget() {
        let runtime = Builder::new_current_thread()
            .build()
            .expect("a runtime without drivers");
        runtime.block_on(async {
            for number in 0..1_000 {
                let (tell, told) = tokio::sync::oneshot::channel();
                handle().spawn(async move { tell.send(number) });
                assert_eq!(block_on(told), Ok(number));
            }
        });
    }
}
