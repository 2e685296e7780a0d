//! The cached functions. Each value is of one table's rows, so that one write touches few of them;
//! what an answer is made of beyond that is put together in `routes`.
//!
//! A tag names what a write can change, and as little else as possible:
//!
//! | tag | is on | is invalidated when |
//! | --- | --- | --- |
//! | `user:{employee}` | the employee's profile | the employee changes |
//! | `employees:{workplace}` | the workplace's list | one of its employees changes, comes or goes |
//! | `shift:{shift}` | the shift | it changes |
//! | `schedule:{workplace}:{monday}` | the workplace's week | one of its shifts in that week changes, comes or goes |
//! | `week:{employee}:{monday}` | the employee's week | the same of the employee's shifts |
//! | `jobs:{city}`, `job:{job}` | the city's listings, one listing | one of them changes, comes or goes |
//! | `setting:{key}` | the setting | it changes |
//!
//! Schedules are asked for by any range of days, and cached by week. Were the range in the key, a
//! shift's move would have to hit every range that holds its day, so their common tag could only be
//! the workplace, and each move would throw away all of its schedules; and two people who look at
//! Monday to Sunday and at Tuesday to Thursday would share nothing.

use cache_core::cached;
use jiff::ToSpan as _;
use jiff::civil::Date;
use rusqlite::{OptionalExtension as _, Row, Transaction, params};

use super::db::Db;
use super::failure::Failure;
use super::model::{Employee, Job, Listed, Setting, Shift, Workplace};

/// The kind of the workplaces is `settings`: nothing here changes them.
#[cached(kind = "settings", ttl = "2h", skip(db))]
pub(super) async fn workplaces(db: &Db) -> Result<Vec<Workplace>, Failure> {
    db.read(|transaction| {
        let sql = "SELECT id, name, city FROM workplaces ORDER BY id";
        let mut statement = transaction.prepare_cached(sql)?;
        let rows = statement.query_map([], to_workplace)?;
        Ok(rows.collect::<Result<_, _>>()?)
    })
    .await
}

#[cached(kind = "settings", ttl = "2h", tags("setting:{key}"), skip(db))]
pub(super) async fn setting(db: &Db, key: &str) -> Result<Setting, Failure> {
    let key = key.to_owned();
    db.read(move |transaction| {
        transaction
            .prepare_cached("SELECT key, value FROM settings WHERE key = ?")?
            .query_row([&key], |row| {
                Ok(Setting {
                    key: row.get(0)?,
                    value: row.get(1)?,
                })
            })
            .optional()?
            .ok_or_else(|| Failure::missing(format_args!("setting {key:?}")))
    })
    .await
}

#[cached(kind = "user_profile", ttl = "30m", tags("user:{id}"), skip(db))]
pub(super) async fn employee(db: &Db, id: i64) -> Result<Employee, Failure> {
    db.read(move |transaction| find_employee(transaction, id))
        .await
}

#[cached(
    kind = "employee_list",
    ttl = "20m",
    tags("employees:{workplace}"),
    skip(db)
)]
pub(super) async fn employees(db: &Db, workplace: i64) -> Result<Vec<Listed>, Failure> {
    db.read(move |transaction| {
        find_workplace(transaction, workplace)?;
        let sql = "SELECT id, name, role FROM employees WHERE workplace = ? ORDER BY name, id";
        let mut statement = transaction.prepare_cached(sql)?;
        let rows = statement.query_map([workplace], |row| {
            Ok(Listed {
                id: row.get(0)?,
                name: row.get(1)?,
                role: row.get(2)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    })
    .await
}

#[cached(kind = "shift_data", ttl = "15m", tags("shift:{id}"), skip(db))]
pub(super) async fn shift(db: &Db, id: i64) -> Result<Shift, Failure> {
    db.read(move |transaction| find_shift(transaction, id))
        .await
}

/// The shifts of a workplace from a Monday to the Sunday after it.
#[cached(
    kind = "schedule",
    ttl = "5m",
    tags("schedule:{workplace}:{monday}"),
    skip(db)
)]
pub(super) async fn schedule(db: &Db, workplace: i64, monday: Date) -> Result<Vec<Shift>, Failure> {
    db.read(move |transaction| {
        find_workplace(transaction, workplace)?;
        shifts_of_week(transaction, "workplace", workplace, monday)
    })
    .await
}

/// The shifts of an employee, wherever they are, from a Monday to the Sunday after it.
#[cached(
    kind = "schedule",
    ttl = "5m",
    tags("week:{employee}:{monday}"),
    skip(db)
)]
pub(super) async fn employee_week(
    db: &Db,
    employee: i64,
    monday: Date,
) -> Result<Vec<Shift>, Failure> {
    db.read(move |transaction| {
        find_employee(transaction, employee)?;
        shifts_of_week(transaction, "employee", employee, monday)
    })
    .await
}

#[cached(kind = "job_listing", ttl = "10m", tags("job:{id}"), skip(db))]
pub(super) async fn job(db: &Db, id: i64) -> Result<Job, Failure> {
    db.read(move |transaction| find_job(transaction, id)).await
}

#[cached(kind = "job_listing", ttl = "10m", tags("jobs:{city}"), skip(db))]
pub(super) async fn jobs(db: &Db, city: &str) -> Result<Vec<Job>, Failure> {
    let city = city.to_owned();
    db.read(move |transaction| {
        let known: bool = transaction
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM workplaces WHERE city = ?)")?
            .query_row([&city], |row| row.get(0))?;
        if !known {
            return Err(Failure::missing(format_args!("workplace in {city:?}")));
        }
        let sql = "SELECT id, workplace, city, title, hourly_cents, posted FROM jobs \
                   WHERE city = ? ORDER BY posted DESC, id DESC";
        let mut statement = transaction.prepare_cached(sql)?;
        let rows = statement.query_map([&city], to_job)?;
        Ok(rows.collect::<Result<_, _>>()?)
    })
    .await
}

pub(super) fn find_workplace(transaction: &Transaction<'_>, id: i64) -> Result<Workplace, Failure> {
    transaction
        .prepare_cached("SELECT id, name, city FROM workplaces WHERE id = ?")?
        .query_row([id], to_workplace)
        .optional()?
        .ok_or_else(|| Failure::missing(format_args!("workplace {id}")))
}

pub(super) fn find_employee(transaction: &Transaction<'_>, id: i64) -> Result<Employee, Failure> {
    let sql = "SELECT id, workplace, name, role, email, hourly_cents FROM employees WHERE id = ?";
    transaction
        .prepare_cached(sql)?
        .query_row([id], |row| {
            Ok(Employee {
                id: row.get(0)?,
                workplace: row.get(1)?,
                name: row.get(2)?,
                role: row.get(3)?,
                email: row.get(4)?,
                hourly_cents: row.get(5)?,
            })
        })
        .optional()?
        .ok_or_else(|| Failure::missing(format_args!("employee {id}")))
}

pub(super) fn find_shift(transaction: &Transaction<'_>, id: i64) -> Result<Shift, Failure> {
    let sql = "SELECT id, workplace, employee, day, starts, ends, role FROM shifts WHERE id = ?";
    transaction
        .prepare_cached(sql)?
        .query_row([id], to_shift)
        .optional()?
        .ok_or_else(|| Failure::missing(format_args!("shift {id}")))
}

pub(super) fn find_job(transaction: &Transaction<'_>, id: i64) -> Result<Job, Failure> {
    let sql = "SELECT id, workplace, city, title, hourly_cents, posted FROM jobs WHERE id = ?";
    transaction
        .prepare_cached(sql)?
        .query_row([id], to_job)
        .optional()?
        .ok_or_else(|| Failure::missing(format_args!("job {id}")))
}

/// `of` is the name of a column, from this file.
fn shifts_of_week(
    transaction: &Transaction<'_>,
    of: &'static str,
    id: i64,
    monday: Date,
) -> Result<Vec<Shift>, Failure> {
    let sql = format!(
        "SELECT id, workplace, employee, day, starts, ends, role FROM shifts \
         WHERE {of} = ? AND day BETWEEN ? AND ? ORDER BY day, starts, id"
    );
    let sunday = monday.saturating_add(6.days());
    let mut statement = transaction.prepare_cached(&sql)?;
    let rows = statement.query_map(
        params![id, monday.to_string(), sunday.to_string()],
        to_shift,
    )?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn to_workplace(row: &Row<'_>) -> rusqlite::Result<Workplace> {
    Ok(Workplace {
        id: row.get(0)?,
        name: row.get(1)?,
        city: row.get(2)?,
    })
}

fn to_shift(row: &Row<'_>) -> rusqlite::Result<Shift> {
    Ok(Shift {
        id: row.get(0)?,
        workplace: row.get(1)?,
        employee: row.get(2)?,
        day: row.get(3)?,
        starts: row.get(4)?,
        ends: row.get(5)?,
        role: row.get(6)?,
    })
}

fn to_job(row: &Row<'_>) -> rusqlite::Result<Job> {
    Ok(Job {
        id: row.get(0)?,
        workplace: row.get(1)?,
        city: row.get(2)?,
        title: row.get(3)?,
        hourly_cents: row.get(4)?,
        posted: row.get(5)?,
    })
}
