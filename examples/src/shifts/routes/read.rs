//! The answers that only read: each is put together from cached values.

use axum::Json;
use axum::extract::State;
use futures_util::future::try_join_all;
use jiff::ToSpan as _;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::App;
use super::asked::{InPath, InQuery};
use crate::shifts::failure::Failure;
use crate::shifts::model::{Employee, Job, Listed, Setting, Shift, Workplace, date, monday};
use crate::shifts::reads;

/// The longest schedule, in days.
const LONGEST: i64 = 35;

type Answer<T> = Result<Json<T>, Failure>;

pub(super) async fn workplaces(State(app): State<App>) -> Answer<Vec<Workplace>> {
    Ok(Json(reads::workplaces(&app.db).await?))
}

#[derive(Deserialize)]
pub(super) struct Range {
    from: String,
    days: Option<i64>,
}

/// Shifts, and what was asked for.
#[derive(Serialize)]
pub(super) struct Planned {
    from: String,
    to: String,
    shifts: Vec<Shift>,
}

pub(super) async fn schedule(
    State(app): State<App>,
    InPath(workplace): InPath<i64>,
    InQuery(range): InQuery<Range>,
) -> Answer<Planned> {
    let from = date("from", &range.from)?;
    let days = range.days.unwrap_or(7);
    if !(1..=LONGEST).contains(&days) {
        return Err(Failure::wrong(format!(
            "days is {days}: write 1 to {LONGEST}"
        )));
    }
    let to = from.saturating_add((days - 1).days());
    let weeks = mondays(from, to).map(|monday| reads::schedule(&app.db, workplace, monday));
    // All at once, so that a slow shared tier is waited for once, and not week by week.
    let weeks = try_join_all(weeks).await?;
    let (from, to) = (from.to_string(), to.to_string());
    let shifts = weeks
        .into_iter()
        .flatten()
        .filter(|shift| (&from..=&to).contains(&&shift.day))
        .collect();
    Ok(Json(Planned { from, to, shifts }))
}

/// The Mondays of the weeks that the days from `from` to `to` are in.
fn mondays(from: Date, to: Date) -> impl Iterator<Item = Date> {
    let first = monday(from);
    first
        .series(1.week())
        .take_while(move |monday| *monday <= to)
}

pub(super) async fn employees(
    State(app): State<App>,
    InPath(workplace): InPath<i64>,
) -> Answer<Vec<Listed>> {
    Ok(Json(reads::employees(&app.db, workplace).await?))
}

pub(super) async fn employee(State(app): State<App>, InPath(id): InPath<i64>) -> Answer<Employee> {
    Ok(Json(reads::employee(&app.db, id).await?))
}

#[derive(Deserialize)]
pub(super) struct Week {
    of: String,
}

pub(super) async fn employee_week(
    State(app): State<App>,
    InPath(employee): InPath<i64>,
    InQuery(week): InQuery<Week>,
) -> Answer<Planned> {
    let monday = monday(date("of", &week.of)?);
    Ok(Json(Planned {
        shifts: reads::employee_week(&app.db, employee, monday).await?,
        from: monday.to_string(),
        to: monday.saturating_add(6.days()).to_string(),
    }))
}

pub(super) async fn shift(State(app): State<App>, InPath(id): InPath<i64>) -> Answer<Shift> {
    Ok(Json(reads::shift(&app.db, id).await?))
}

#[derive(Deserialize)]
pub(super) struct InCity {
    city: String,
}

pub(super) async fn jobs(
    State(app): State<App>,
    InQuery(asked): InQuery<InCity>,
) -> Answer<Vec<Job>> {
    Ok(Json(reads::jobs(&app.db, &asked.city).await?))
}

pub(super) async fn job(State(app): State<App>, InPath(id): InPath<i64>) -> Answer<Job> {
    Ok(Json(reads::job(&app.db, id).await?))
}

pub(super) async fn setting(
    State(app): State<App>,
    InPath(key): InPath<String>,
) -> Answer<Setting> {
    Ok(Json(reads::setting(&app.db, &key).await?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_of_days_is_in_all_the_weeks_it_touches() {
        let weeks = |from: &str, to: &str| {
            let day = |text: &str| date("day", text).expect("a day");
            mondays(day(from), day(to))
                .map(|monday| monday.to_string())
                .collect::<Vec<_>>()
        };
        assert_eq!(weeks("2026-03-02", "2026-03-08"), ["2026-03-02"]);
        assert_eq!(weeks("2026-03-08", "2026-03-08"), ["2026-03-02"]);
        assert_eq!(
            weeks("2026-03-08", "2026-03-16"),
            ["2026-03-02", "2026-03-09", "2026-03-16"]
        );
        assert_eq!(weeks("2027-01-01", "2027-01-01"), ["2026-12-28"]);
    }
}
