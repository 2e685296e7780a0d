//! A process whose thread may make no system call while it hits: the test of the same name starts it.
//! The kernel ends the process at the first one.

#[cfg(target_os = "linux")]
mod linux {
    use std::convert::Infallible;
    use std::io::{PipeWriter, Read as _, Write as _, stdout};
    use std::os::fd::AsRawFd as _;
    use std::pin::pin;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::task::{Context, Poll, Waker};
    use std::thread;
    use std::time::Duration;

    use cache_core::{Cache, cached};
    use cache_redis::RedisStore;
    use seccompiler::{
        BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
        SeccompRule, apply_filter,
    };

    const HITS: u64 = 1_000_000;
    const DONE: &[u8] = b"no system call in all of them\n";
    const USAGE: &str = "silent-hits embedded|tracked|checked plain|async|miss [URL]";

    type Failed = Box<dyn std::error::Error + Send + Sync>;

    static LOADS: AtomicU64 = AtomicU64::new(0);

    #[cached(kind = "plain_hit", ttl = "10m", tags("hit:{id}"))]
    fn plain(id: u64) -> u64 {
        LOADS.fetch_add(1, Ordering::Relaxed);
        id
    }

    #[cached(kind = "async_hit", ttl = "10m", tags("hit:{id}"))]
    async fn asynchronous(id: u64, name: &str) -> String {
        LOADS.fetch_add(1, Ordering::Relaxed);
        std::future::ready(format!("{name} {id}")).await
    }

    pub(super) fn main() -> Result<(), Failed> {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        let (tier, call) = match arguments.as_slice() {
            [tier, call, ..] => (tier.as_str(), call.as_str()),
            _ => return Err(USAGE.into()),
        };
        let mut cache = Cache::builder().namespace("test");
        if tier != "embedded" {
            let config = RedisStore::builder(arguments.get(2).ok_or(USAGE)?)?
                .tracking(tier == "tracked")
                // A machine under load must not end the trust in the local tier.
                .heartbeat(Duration::from_secs(1), Duration::from_secs(20));
            cache = cache.shared(config.build()?);
        }
        cache.try_build()?.install()?;

        let (mut told, tell) = std::io::pipe()?;
        let (tier, call) = (tier.to_owned(), call.to_owned());
        thread::spawn(move || match hits(&tier, &call, tell) {
            Ok(never) => match never {},
            Err(error) => panic!("{error}"),
        });
        // The thread can't end itself either: it goes down with the process.
        let mut done = vec![0; DONE.len()];
        told.read_exact(&mut done)?;
        stdout().write_all(&done)?;
        Ok(())
    }

    fn hits(tier: &str, call: &str, mut tell: PipeWriter) -> Result<Infallible, Failed> {
        // Until a call is a hit, on this very thread, and everything that is made once is there.
        let mut last = 0;
        while last != LOADS.load(Ordering::Relaxed) || (tier == "tracked" && !is_trusted()) {
            last = LOADS.load(Ordering::Relaxed);
            warm(call);
        }
        warm(call);
        let loads = LOADS.load(Ordering::Relaxed);
        println!("warm");

        apply_filter(&nothing_but(&tell)?)?;
        for _ in 0..HITS {
            match call {
                "async" => asynchronous_hit(),
                _ => assert_eq!(plain(7), 7),
            }
        }
        if call == "miss" {
            plain(8);
        }
        assert_eq!(LOADS.load(Ordering::Relaxed), loads, "all of them are hits");
        tell.write_all(DONE)?;
        loop {
            std::hint::spin_loop();
        }
    }

    fn is_trusted() -> bool {
        Cache::current().health().trusted
    }

    fn warm(call: &str) {
        if call == "async" {
            // By hand, as the hits are: no runtime is to do anything for them.
            let mut call = pin!(asynchronous(7, "seven"));
            while call
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop()))
                .is_pending()
            {
                thread::yield_now();
            }
        } else {
            plain(7);
        }
    }

    fn asynchronous_hit() {
        let context = &mut Context::from_waker(Waker::noop());
        match pin!(asynchronous(7, "seven")).poll(context) {
            Poll::Ready(value) => assert_eq!(value, "seven 7"),
            Poll::Pending => panic!("it is no hit"),
        }
    }

    /// Whatever this thread asks the kernel for, but for the end of the pipe, ends the process.
    fn nothing_but(pipe: &PipeWriter) -> Result<BpfProgram, Failed> {
        let pipe = u64::try_from(pipe.as_raw_fd())?;
        let to_pipe = SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, pipe)?;
        let filter = SeccompFilter::new(
            [(libc::SYS_write, vec![SeccompRule::new(vec![to_pipe])?])].into(),
            SeccompAction::KillProcess,
            SeccompAction::Allow,
            std::env::consts::ARCH.try_into()?,
        )?;
        Ok(filter.try_into()?)
    }
}

#[cfg(target_os = "linux")]
fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    linux::main()
}

#[cfg(not(target_os = "linux"))]
fn main() {}
