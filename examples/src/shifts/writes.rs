//! The invalidating functions: the tags of a write are all over its arguments, so that what is
//! invalidated can be read off the attribute (which tags there are: see `reads`).
//!
//! A change touches what it takes a row from as well as what it takes it to: both schedules, both
//! employees' weeks. Where a row was is known only by reading it, and another write may come between
//! that and the change. So a change is made to the row *as it was read*, and refused where it is
//! another by then; `routes` reads again and repeats it. The tags of `before` are
//! then those of the row that was changed.

use cache_core::invalidates;
use rusqlite::{Transaction, params};

use super::db::Db;
use super::failure::Failure;
use super::model::{Employee, Job, Setting, Shift};
use super::reads;

/// Whether a change was made, or the row was not the one it was to be made to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Made,
    Overtaken,
}

#[invalidates(tags(
    "schedule:{new.workplace}:{new.week()}",
    "week:{new.who()}:{new.week()}"
))]
pub(super) async fn add_shift(db: &Db, new: Shift) -> Result<Shift, Failure> {
    let mut shift = new.clone();
    db.write(move |transaction| {
        check_shift(transaction, &shift)?;
        transaction
            .prepare_cached(
                "INSERT INTO shifts (workplace, employee, day, starts, ends, role) \
                 VALUES (?, ?, ?, ?, ?, ?)",
            )?
            .execute(params![
                shift.workplace,
                shift.employee,
                shift.day,
                shift.starts,
                shift.ends,
                shift.role
            ])?;
        shift.id = transaction.last_insert_rowid();
        Ok(shift)
    })
    .await
}

#[invalidates(tags(
    "shift:{before.id}",
    "schedule:{before.workplace}:{before.week()}",
    "schedule:{after.workplace}:{after.week()}",
    "week:{before.who()}:{before.week()}",
    "week:{after.who()}:{after.week()}"
))]
pub(super) async fn change_shift(
    db: &Db,
    before: &Shift,
    after: &Shift,
) -> Result<Change, Failure> {
    let (before, after) = (before.clone(), after.clone());
    db.write(move |transaction| {
        if reads::find_shift(transaction, before.id)? != before {
            return Ok(Change::Overtaken);
        }
        check_shift(transaction, &after)?;
        transaction
            .prepare_cached(
                "UPDATE shifts SET workplace = ?, employee = ?, day = ?, starts = ?, ends = ?, \
                 role = ? WHERE id = ?",
            )?
            .execute(params![
                after.workplace,
                after.employee,
                after.day,
                after.starts,
                after.ends,
                after.role,
                before.id
            ])?;
        Ok(Change::Made)
    })
    .await
}

#[invalidates(tags(
    "shift:{before.id}",
    "schedule:{before.workplace}:{before.week()}",
    "week:{before.who()}:{before.week()}"
))]
pub(super) async fn remove_shift(db: &Db, before: &Shift) -> Result<Change, Failure> {
    let before = before.clone();
    db.write(move |transaction| {
        if reads::find_shift(transaction, before.id)? != before {
            return Ok(Change::Overtaken);
        }
        transaction
            .prepare_cached("DELETE FROM shifts WHERE id = ?")?
            .execute([before.id])?;
        Ok(Change::Made)
    })
    .await
}

#[invalidates(tags(
    "user:{before.id}",
    "employees:{before.workplace}",
    "employees:{after.workplace}"
))]
pub(super) async fn change_employee(
    db: &Db,
    before: &Employee,
    after: &Employee,
) -> Result<Change, Failure> {
    let (before, after) = (before.clone(), after.clone());
    db.write(move |transaction| {
        if reads::find_employee(transaction, before.id)? != before {
            return Ok(Change::Overtaken);
        }
        reads::find_workplace(transaction, after.workplace).map_err(Failure::in_body)?;
        transaction
            .prepare_cached(
                "UPDATE employees SET workplace = ?, name = ?, role = ?, email = ?, \
                 hourly_cents = ? WHERE id = ?",
            )?
            .execute(params![
                after.workplace,
                after.name,
                after.role,
                after.email,
                after.hourly_cents,
                before.id
            ])?;
        Ok(Change::Made)
    })
    .await
}

#[invalidates(tags("jobs:{new.city}"))]
pub(super) async fn add_job(db: &Db, new: Job) -> Result<Job, Failure> {
    let mut job = new.clone();
    db.write(move |transaction| {
        transaction
            .prepare_cached(
                "INSERT INTO jobs (workplace, city, title, hourly_cents, posted) \
                 VALUES (?, ?, ?, ?, ?)",
            )?
            .execute(params![
                job.workplace,
                job.city,
                job.title,
                job.hourly_cents,
                job.posted
            ])?;
        job.id = transaction.last_insert_rowid();
        Ok(job)
    })
    .await
}

#[invalidates(tags("job:{before.id}", "jobs:{before.city}"))]
pub(super) async fn remove_job(db: &Db, before: &Job) -> Result<Change, Failure> {
    let before = before.clone();
    db.write(move |transaction| {
        if reads::find_job(transaction, before.id)? != before {
            return Ok(Change::Overtaken);
        }
        transaction
            .prepare_cached("DELETE FROM jobs WHERE id = ?")?
            .execute([before.id])?;
        Ok(Change::Made)
    })
    .await
}

#[invalidates(tags("setting:{setting.key}"))]
pub(super) async fn put_setting(db: &Db, setting: &Setting) -> Result<(), Failure> {
    let setting = setting.clone();
    db.write(move |transaction| {
        transaction
            .prepare_cached(
                "INSERT INTO settings VALUES (?, ?) \
                 ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            )?
            .execute(params![setting.key, setting.value])?;
        Ok(())
    })
    .await
}

/// Whether a shift can be: its workplace and employee exist, and the employee is free.
fn check_shift(transaction: &Transaction<'_>, shift: &Shift) -> Result<(), Failure> {
    reads::find_workplace(transaction, shift.workplace).map_err(Failure::in_body)?;
    let Some(employee) = shift.employee else {
        return Ok(());
    };
    reads::find_employee(transaction, employee).map_err(Failure::in_body)?;
    let mut statement = transaction.prepare_cached(
        "SELECT id FROM shifts \
         WHERE employee = ? AND day = ? AND id <> ? AND starts < ? AND ends > ? ORDER BY id",
    )?;
    let mut rows = statement.query(params![
        employee,
        shift.day,
        shift.id,
        shift.ends,
        shift.starts
    ])?;
    let Some(row) = rows.next()? else {
        return Ok(());
    };
    let other: i64 = row.get(0)?;
    Err(Failure::conflict(format!(
        "employee {employee} has shift {other} on {} at that time",
        shift.day
    )))
}
