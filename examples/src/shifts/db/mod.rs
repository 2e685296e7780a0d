//! SQLite behind a few connections. Its calls block, so they run on threads made for that.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior};
use tokio::sync::Semaphore;

use super::failure::Failure;

mod reads;
mod schema;
mod seed;

pub(super) use reads::counted as reads_counted;

/// The most connections there are at a time.
const CONNECTIONS: usize = 8;

/// How long a connection waits for another process's lock.
const PATIENCE: Duration = Duration::from_secs(5);

/// The database. Cloning is cheap and shares the connections.
#[derive(Clone)]
pub(super) struct Db(Arc<Pool>);

struct Pool {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
    permits: Arc<Semaphore>,
}

impl Db {
    /// Opens the file; makes and fills it where it is missing. Several processes may share one.
    pub(super) async fn open(path: &Path) -> Result<Self, Failure> {
        let db = Self(Arc::new(Pool {
            path: path.to_owned(),
            idle: Mutex::default(),
            permits: Arc::new(Semaphore::new(CONNECTIONS)),
        }));
        db.write(|transaction| {
            if schema::create(transaction)? {
                seed::fill(transaction)?;
            }
            Ok(())
        })
        .await?;
        Ok(db)
    }

    /// Runs `work` in a transaction that reads: all of it sees one state of the data.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        reads::count();
        self.run(TransactionBehavior::Deferred, work).await
    }

    /// Runs `work` in a transaction that writes; nothing of it stays when it fails.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        // Taking the write lock first avoids the deadlock of two readers that both want to write.
        self.run(TransactionBehavior::Immediate, work).await
    }

    async fn run<T: Send + 'static>(
        &self,
        behavior: TransactionBehavior,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let permit = Arc::clone(&self.0.permits)
            .acquire_owned()
            .await
            .map_err(Failure::internal)?;
        let pool = Arc::clone(&self.0);
        let worked = tokio::task::spawn_blocking(move || {
            // Moved in, so that it is held until the thread is done, whatever becomes of the caller.
            let _permit = permit;
            let mut connection = pool.take()?;
            let transaction = connection.transaction_with_behavior(behavior)?;
            // Dropped without a commit, a transaction is rolled back.
            let worked = work(&transaction).and_then(|value| {
                transaction.commit()?;
                Ok(value)
            });
            if connection.is_autocommit() {
                pool.put_back(connection);
            }
            worked
        });
        worked.await.map_err(Failure::internal)?
    }
}

impl Pool {
    fn take(&self) -> Result<Connection, Failure> {
        let idle = self.idle().pop();
        match idle {
            Some(connection) => Ok(connection),
            None => connect(&self.path).map_err(|error| {
                Failure::internal(format!("{} can't be opened: {error}", self.path.display()))
            }),
        }
    }

    fn put_back(&self, connection: Connection) {
        self.idle().push(connection);
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(PATIENCE)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    write_ahead(&connection)?;
    connection.pragma_update(None, "synchronous", "normal")?;
    Ok(connection)
}

/// With a write-ahead log readers and a writer do not wait for each other, across processes too.
fn write_ahead(connection: &Connection) -> rusqlite::Result<()> {
    // The switch, once in a file's life, needs the file alone, and SQLite does not wait for that: it
    // fails where another process is at the same.
    let began = Instant::now();
    loop {
        match connection.pragma_update(None, "journal_mode", "wal") {
            Err(error)
                if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
                    && began.elapsed() < PATIENCE =>
            {
                thread::sleep(Duration::from_millis(5));
            }
            done => return done,
        }
    }
}
