//! A network between a store and its server that can be switched, slowed down and cut.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};

/// Forwards connections to a port of this machine. To be made within a tokio runtime, and gone with
/// it.
pub struct Proxy {
    port: u16,
    network: Arc<Network>,
}

struct Network {
    backend: AtomicU16,
    slow: AtomicBool,
    /// In milliseconds.
    late: AtomicU64,
    answered: AtomicUsize,
    pieces: AtomicUsize,
    /// Whether something was asked last, and not answered.
    asking: AtomicBool,
    turns: AtomicUsize,
    cut: Notify,
    hole: watch::Sender<bool>,
}

/// How much a slow network lets through at a time, and how often.
const TRICKLE: (usize, Duration) = (16 << 10, Duration::from_millis(10));

impl Proxy {
    /// A proxy to this port.
    ///
    /// # Panics
    ///
    /// When the loopback has no free port.
    pub async fn start(backend: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("the loopback has a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let network = Arc::new(Network {
            backend: AtomicU16::new(backend),
            slow: AtomicBool::new(false),
            late: AtomicU64::new(0),
            answered: AtomicUsize::new(0),
            pieces: AtomicUsize::new(0),
            asking: AtomicBool::new(false),
            turns: AtomicUsize::new(0),
            cut: Notify::new(),
            hole: watch::Sender::new(false),
        });
        let shared = network.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(shared.clone().forward(client));
            }
        });
        Self { port, network }
    }

    /// The URL of what it forwards to.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Forwards new connections to another port; those that are open stay where they are.
    pub fn switch(&self, backend: u16) {
        self.network.backend.store(backend, Ordering::Relaxed);
    }

    /// Lets answers through in small pieces only, or all at once again.
    pub fn slow(&self, slow: bool) {
        self.network.slow.store(slow, Ordering::Relaxed);
    }

    /// Lets answers through so much later, at least: each waits for the one before it.
    pub fn delay(&self, by: Duration) {
        let millis = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        self.network.late.store(millis, Ordering::Relaxed);
    }

    /// Withholds all answers while connections stay open, or lets them through again.
    pub fn black_hole(&self, hole: bool) {
        self.network.hole.send_replace(hole);
    }

    /// How many bytes of answers it has let through.
    pub fn answered(&self) -> usize {
        self.network.answered.load(Ordering::Relaxed)
    }

    /// In how many pieces they came out of the network.
    pub fn pieces(&self) -> usize {
        self.network.pieces.load(Ordering::Relaxed)
    }

    /// How many round trips it has seen: how often something was asked after an answer had come.
    pub fn turns(&self) -> usize {
        self.network.turns.load(Ordering::SeqCst)
    }

    /// Cuts every connection.
    pub fn cut(&self) {
        self.network.cut.notify_waiters();
    }
}

impl Network {
    async fn forward(self: Arc<Self>, client: TcpStream) {
        let backend = self.backend.load(Ordering::Relaxed);
        let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, backend)).await else {
            return;
        };
        // Else a push may lie here until what went before it is acknowledged, for 40 ms. Where it can't
        // be set, the connection is gone.
        let _ = client.set_nodelay(true);
        let _ = server.set_nodelay(true);
        let (mut from_client, mut to_client) = client.into_split();
        let (mut from_server, mut to_server) = server.into_split();
        let answers = async {
            let mut buffer = vec![0; TRICKLE.0];
            while let Ok(count @ 1..) = from_server.read(&mut buffer).await {
                if self.slow.load(Ordering::Relaxed) {
                    tokio::time::sleep(TRICKLE.1).await;
                }
                let late = self.late.load(Ordering::Relaxed);
                if late > 0 {
                    tokio::time::sleep(Duration::from_millis(late)).await;
                }
                // The sender is in self.
                let _ = self.hole.subscribe().wait_for(|hole| !hole).await;
                self.answered.fetch_add(count, Ordering::Relaxed);
                self.pieces.fetch_add(1, Ordering::Relaxed);
                self.asking.store(false, Ordering::SeqCst);
                if to_client.write_all(&buffer[..count]).await.is_err() {
                    break;
                }
            }
        };
        let questions = async {
            let mut buffer = vec![0; TRICKLE.0];
            while let Ok(count @ 1..) = from_client.read(&mut buffer).await {
                if !self.asking.swap(true, Ordering::SeqCst) {
                    self.turns.fetch_add(1, Ordering::SeqCst);
                }
                if to_server.write_all(&buffer[..count]).await.is_err() {
                    break;
                }
            }
        };
        tokio::select! {
            () = answers => {}
            () = questions => {}
            () = self.cut.notified() => {}
        }
    }
}
