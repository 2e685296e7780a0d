//! The truth: the version of each id, kept by the process that directs a soak, and asked for over the
//! loopback as a database is.

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;

use super::wire::IDS;

const READ: u8 = b'r';
const BUMP: u8 = b'b';

/// Serves the versions, all of them 1 at first, for as long as the runtime lives; returns the port.
pub(super) async fn serve() -> io::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let port = listener.local_addr()?.port();
    let versions: Arc<Vec<AtomicU64>> = Arc::new((0..IDS).map(|_| AtomicU64::new(1)).collect());
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let versions = Arc::clone(&versions);
            // A client that leaves is as good as one that is done.
            tokio::spawn(async move { answer(client, &versions).await });
        }
    });
    Ok(port)
}

/// A request is a letter and an id; its answer the versions of all ids, after what was asked for.
async fn answer(mut client: TcpStream, versions: &[AtomicU64]) -> io::Result<()> {
    client.set_nodelay(true)?;
    loop {
        let what = client.read_u8().await?;
        let id = usize::from(client.read_u8().await?);
        if what == BUMP
            && let Some(version) = versions.get(id)
        {
            version.fetch_add(1, Ordering::SeqCst);
        }
        let mut answer = Vec::with_capacity(versions.len() * 8);
        for version in versions {
            answer.extend(version.load(Ordering::SeqCst).to_be_bytes());
        }
        client.write_all(&answer).await?;
    }
}

/// A client, with as many connections as are used at once.
pub(super) struct Database {
    port: u16,
    idle: Mutex<Vec<TcpStream>>,
}

impl Database {
    pub(super) fn new(port: u16) -> Self {
        Self {
            port,
            idle: Mutex::default(),
        }
    }

    /// The versions of all ids.
    pub(super) async fn versions(&self) -> io::Result<Vec<u64>> {
        self.ask(READ, 0).await
    }

    /// Gives an id its next version; returns the versions of all ids after that.
    pub(super) async fn bump(&self, id: u64) -> io::Result<Vec<u64>> {
        self.ask(BUMP, id).await
    }

    async fn ask(&self, what: u8, id: u64) -> io::Result<Vec<u64>> {
        let idle = self.idle.lock().await.pop();
        let mut connection = match idle {
            Some(connection) => connection,
            None => TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await?,
        };
        connection.set_nodelay(true)?;
        let id = u8::try_from(id).map_err(io::Error::other)?;
        connection.write_all(&[what, id]).await?;
        let mut versions = Vec::new();
        for _ in 0..IDS {
            versions.push(connection.read_u64().await?);
        }
        // Only one whose answer was read to its end: a caller who gives up takes it along.
        self.idle.lock().await.push(connection);
        Ok(versions)
    }
}
