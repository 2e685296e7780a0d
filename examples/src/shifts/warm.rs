//! Fills the cache before the first request: after a deployment the busiest workplaces would
//! otherwise be loaded by everybody at once, each waiting for the database.

use std::sync::Arc;
use std::time::Instant;

use jiff::civil::Date;
use rusqlite::params;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::db::Db;
use super::failure::Failure;
use super::{model, reads};

/// How many loads run at a time: warming must not take the database from the first requests.
const AT_A_TIME: usize = 4;

/// Reads the busiest `weeks`, and their workplaces' lists of employees, through the cache. What
/// another process has loaded already comes from the shared tier.
pub(super) async fn busiest(db: Db, weeks: u32) {
    let began = Instant::now();
    let busiest = match find_busiest(&db, weeks).await {
        Ok(busiest) => busiest,
        Err(failure) => return tracing::warn!("nothing was warmed: {failure}"),
    };
    let permits = Arc::new(Semaphore::new(AT_A_TIME));
    let mut loads = JoinSet::new();
    for (workplace, monday) in busiest {
        let (db, permits) = (db.clone(), Arc::clone(&permits));
        loads.spawn(async move {
            let _permit = permits.acquire().await.map_err(Failure::internal)?;
            reads::schedule(&db, workplace, monday).await?;
            reads::employees(&db, workplace).await?;
            Ok::<_, Failure>(())
        });
    }
    let mut warmed = 0;
    while let Some(loaded) = loads.join_next().await {
        match loaded.map_err(Failure::internal).flatten() {
            Ok(()) => warmed += 1,
            Err(failure) => tracing::warn!("a week was not warmed: {failure}"),
        }
    }
    tracing::info!(weeks = warmed, took = ?began.elapsed(), "warmed");
}

/// The workplaces and Mondays with the most shifts.
async fn find_busiest(db: &Db, weeks: u32) -> Result<Vec<(i64, Date)>, Failure> {
    db.read(move |transaction| {
        // The Sunday on or after the day, and six days back from it.
        let sql = "SELECT workplace, date(day, 'weekday 0', '-6 days') AS monday \
                   FROM shifts GROUP BY workplace, monday \
                   ORDER BY count(*) DESC, workplace, monday LIMIT ?";
        let mut statement = transaction.prepare(sql)?;
        let mut rows = statement.query(params![weeks])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let monday: String = row.get(1)?;
            found.push((row.get(0)?, model::date("day", &monday)?));
        }
        Ok(found)
    })
    .await
}
