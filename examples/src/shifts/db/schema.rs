//! The tables.

use rusqlite::Transaction;

use crate::shifts::failure::Failure;

/// Counted up whenever the tables change.
const VERSION: i64 = 1;

const TABLES: &str = "
CREATE TABLE workplaces (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, city TEXT NOT NULL
) STRICT;
CREATE TABLE employees (
    id INTEGER PRIMARY KEY, workplace INTEGER NOT NULL REFERENCES workplaces,
    name TEXT NOT NULL, role TEXT NOT NULL, email TEXT NOT NULL, hourly_cents INTEGER NOT NULL
) STRICT;
CREATE INDEX employees_by_workplace ON employees (workplace, name, id);
-- AUTOINCREMENT: the id of a deleted row never names another one.
CREATE TABLE shifts (
    id INTEGER PRIMARY KEY AUTOINCREMENT, workplace INTEGER NOT NULL REFERENCES workplaces,
    employee INTEGER REFERENCES employees,
    day TEXT NOT NULL, starts TEXT NOT NULL, ends TEXT NOT NULL, role TEXT NOT NULL
) STRICT;
CREATE INDEX shifts_by_workplace ON shifts (workplace, day, starts, id);
CREATE INDEX shifts_by_employee ON shifts (employee, day, starts, id);
CREATE TABLE jobs (
    id INTEGER PRIMARY KEY AUTOINCREMENT, workplace INTEGER NOT NULL REFERENCES workplaces,
    city TEXT NOT NULL, title TEXT NOT NULL, hourly_cents INTEGER NOT NULL, posted TEXT NOT NULL
) STRICT;
CREATE INDEX jobs_by_city ON jobs (city, posted, id);
CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
";

/// Makes the tables where there are none; returns whether it did.
pub(super) fn create(transaction: &Transaction<'_>) -> Result<bool, Failure> {
    let version: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    match version {
        0 => {
            transaction.execute_batch(TABLES)?;
            transaction.pragma_update(None, "user_version", VERSION)?;
            Ok(true)
        }
        VERSION => Ok(false),
        other => Err(Failure::internal(format!(
            "the database has version {other} of the tables, and this service knows {VERSION}: \
             give --db another file"
        ))),
    }
}
