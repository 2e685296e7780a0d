//! Case 5: how often a miss waits for Redis.

use std::time::{Duration, Instant};

use ::redis::cmd;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use crate::cases::Case;
use crate::measure::Figure;
use crate::redis::Redis;
use crate::rows::{Bound, Row, Section, times};
use crate::shared::{self, Asked, Bare, Contestant};
use crate::{Effort, Result, loads};

pub(super) const CASE: Case = Case {
    number: 5,
    title: "A miss with a shared tier",
    about: "How often a call waits for Redis where nothing is cached and the function takes no time. Redis is \
            behind a proxy that holds back everything for 10 ms each way, so that all else is as nothing: the \
            time of a miss divided by that of a `PING`. Two round trips, one to look and one to store, are what \
            a cache needs that has no leases, no tags, and no say in what others store meanwhile.",
    limit: None,
    run,
};

const DELAY: Duration = Duration::from_millis(10);

fn run(effort: Effort) -> Result<Vec<Row>> {
    let redis = Redis::start()?;
    shared::runtime()?.block_on(async {
        let url = format!("redis://127.0.0.1:{}", delayed(redis.port()).await?);
        shared::install(&url)?;
        let contestants = shared::missing(&url).await?;
        let mut pings = Vec::new();
        let mut misses = vec![Vec::new(); contestants.len()];
        let bare = Bare::connected(&url).await?;
        for id in 0..effort.of(5, 25) {
            pings.push(ping(&bare).await?);
            for (contestant, misses) in contestants.iter().zip(&mut misses) {
                misses.push(miss(contestant, id).await?);
            }
        }
        let ping = Figure::of_times(pings).median;
        let trips: Vec<_> = misses
            .into_iter()
            .map(|misses| Figure::of_times(misses).median / ping)
            .collect();
        // What is over, or below, is the machine's.
        let whole = |trips: f64| Figure::counted(trips.round());
        let exact = |trips: f64| format!("{} × a `PING`", times(trips));
        let ours = contestants[0].name;
        let what = "round trips of a miss";
        let mut section = Section::new(what, times, ours, whole(trips[0])).ours(Bound::AtMost(3.0));
        section.note(&exact(trips[0]));
        for (contestant, trips) in contestants.iter().zip(trips).skip(1) {
            section.beside(contestant.name, whole(trips), None);
            section.note(&exact(trips));
        }
        Ok(section.rows())
    })
}

async fn ping(bare: &Bare) -> Result<f64> {
    let began = Instant::now();
    cmd("PING")
        .query_async::<()>(&mut bare.connection())
        .await?;
    Ok(began.elapsed().as_secs_f64())
}

async fn miss(contestant: &Contestant, id: u64) -> Result<f64> {
    let before = loads();
    // Whoever asks for the first time connects as well.
    let took = contestant
        .once(Asked {
            id: id + 1,
            size: 36,
        })
        .await?;
    if loads() - before == 1 {
        return Ok(took.as_secs_f64());
    }
    Err(format!(
        "{}: {} loads in one miss",
        contestant.name,
        loads() - before
    )
    .into())
}

/// A proxy before this port; its own port.
async fn delayed(port: u16) -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let own = listener.local_addr()?.port();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let Ok(server) = TcpStream::connect(("127.0.0.1", port)).await else {
                return;
            };
            // Without it the kernel gathers what is small, and waits longer than the proxy does.
            let _ = (client.set_nodelay(true), server.set_nodelay(true));
            let (from_client, to_client) = client.into_split();
            let (from_server, to_server) = server.into_split();
            tokio::spawn(hold_back(from_client, to_server));
            tokio::spawn(hold_back(from_server, to_client));
        }
    });
    Ok(own)
}

/// Passes on what comes, in its order, each piece so long after it came.
async fn hold_back(mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
    let (send, mut held) = mpsc::unbounded_channel::<(tokio::time::Instant, Vec<u8>)>();
    tokio::spawn(async move {
        while let Some((due, bytes)) = held.recv().await {
            tokio::time::sleep_until(due).await;
            if to.write_all(&bytes).await.is_err() {
                return;
            }
        }
    });
    let mut buffer = vec![0; 64 << 10];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        let due = tokio::time::Instant::now() + DELAY;
        if send.send((due, buffer[..length].to_vec())).is_err() {
            return;
        }
    }
}
