//! What is read and written. Days are `2026-03-02` and times `08:30`, as in the database and in the
//! answers; what comes from outside is checked before it becomes one of these.

use jiff::civil::{Date, Time, Weekday};
use serde::{Deserialize, Serialize};

use super::failure::Failure;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Workplace {
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) city: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Employee {
    pub(super) id: i64,
    pub(super) workplace: i64,
    pub(super) name: String,
    pub(super) role: String,
    pub(super) email: String,
    pub(super) hourly_cents: i64,
}

/// An employee in the list of a workplace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Listed {
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) role: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Shift {
    pub(super) id: i64,
    pub(super) workplace: i64,
    /// `None`: still open.
    pub(super) employee: Option<i64>,
    pub(super) day: String,
    pub(super) starts: String,
    pub(super) ends: String,
    pub(super) role: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Job {
    pub(super) id: i64,
    pub(super) workplace: i64,
    pub(super) city: String,
    pub(super) title: String,
    pub(super) hourly_cents: i64,
    pub(super) posted: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Setting {
    pub(super) key: String,
    pub(super) value: String,
}

/// What a shift is to be.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ShiftPlan {
    pub(super) workplace: i64,
    pub(super) employee: Option<i64>,
    pub(super) day: String,
    pub(super) starts: String,
    pub(super) ends: String,
    pub(super) role: String,
}

/// What an employee is to be.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EmployeePlan {
    pub(super) workplace: i64,
    pub(super) name: String,
    pub(super) role: String,
    pub(super) email: String,
    pub(super) hourly_cents: i64,
}

/// What a job listing is to be.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct JobPlan {
    pub(super) workplace: i64,
    pub(super) title: String,
    pub(super) hourly_cents: i64,
    pub(super) posted: String,
}

/// What a setting is to be.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SettingPlan {
    pub(super) value: String,
}

impl ShiftPlan {
    /// The shift of this plan, if days and times are in the one form that is stored: otherwise
    /// `2026-3-2` and `2026-03-02` would be two days.
    pub(super) fn shift(self, id: i64) -> Result<Shift, Failure> {
        let day = date("day", &self.day)?.to_string();
        let starts = time("starts", &self.starts)?;
        let ends = time("ends", &self.ends)?;
        if ends <= starts {
            return Err(Failure::wrong(format!(
                "ends is {ends}, not after starts, {starts}: plan a shift over midnight as two"
            )));
        }
        Ok(Shift {
            id,
            workplace: self.workplace,
            employee: self.employee,
            day,
            starts,
            ends,
            role: text("role", self.role)?,
        })
    }
}

impl Shift {
    /// The Monday of its week.
    pub(super) fn week(&self) -> String {
        // What is stored was checked; and a text that is no day is in no week that anybody reads.
        date("day", &self.day).map_or_else(|_| self.day.clone(), |day| monday(day).to_string())
    }

    /// Whose week it is in; an open shift is in nobody's, and no tag of an employee ends like this.
    pub(super) fn who(&self) -> String {
        self.employee
            .map_or_else(|| "nobody".to_owned(), |id| id.to_string())
    }
}

impl EmployeePlan {
    pub(super) fn employee(self, id: i64) -> Result<Employee, Failure> {
        Ok(Employee {
            id,
            workplace: self.workplace,
            name: text("name", self.name)?,
            role: text("role", self.role)?,
            email: text("email", self.email)?,
            hourly_cents: cents(self.hourly_cents)?,
        })
    }
}

impl JobPlan {
    /// The listing of this plan, at `workplace`.
    pub(super) fn job(self, workplace: Workplace) -> Result<Job, Failure> {
        Ok(Job {
            id: 0,
            workplace: workplace.id,
            city: workplace.city,
            title: text("title", self.title)?,
            hourly_cents: cents(self.hourly_cents)?,
            posted: date("posted", &self.posted)?.to_string(),
        })
    }
}

/// A day from outside.
pub(super) fn date(field: &str, text: &str) -> Result<Date, Failure> {
    let parsed = Date::strptime("%Y-%m-%d", text).ok();
    parsed
        .filter(|date| (2000..2100).contains(&date.year()))
        .ok_or_else(|| {
            Failure::wrong(format!(
                "{field} is {text:?}: write a day from 2000 to 2099, such as 2026-03-02"
            ))
        })
}

/// The first day of a day's week.
pub(super) fn monday(day: Date) -> Date {
    let since = day.weekday().since(Weekday::Monday);
    // Days are from 2000 to 2099, far from where dates end.
    day.saturating_sub(jiff::Span::new().days(since))
}

fn time(field: &str, text: &str) -> Result<String, Failure> {
    Time::strptime("%H:%M", text)
        .map(|time| time.strftime("%H:%M").to_string())
        .map_err(|_| {
            Failure::wrong(format!(
                "{field} is {text:?}: write a time from 00:00 to 23:59, such as 08:30"
            ))
        })
}

fn text(field: &str, text: String) -> Result<String, Failure> {
    if text.trim().is_empty() || text.len() > 200 {
        return Err(Failure::wrong(format!(
            "{field} has {} bytes: write 1 to 200, not all spaces",
            text.len()
        )));
    }
    Ok(text)
}

fn cents(cents: i64) -> Result<i64, Failure> {
    if !(1..=100_000).contains(&cents) {
        return Err(Failure::wrong(format!(
            "hourly_cents is {cents}: write 1 to 100000"
        )));
    }
    Ok(cents)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(day: &str, starts: &str, ends: &str) -> ShiftPlan {
        ShiftPlan {
            workplace: 1,
            employee: None,
            day: day.to_owned(),
            starts: starts.to_owned(),
            ends: ends.to_owned(),
            role: "cook".to_owned(),
        }
    }

    #[test]
    fn days_and_times_are_stored_in_one_form() {
        let shift = plan("2026-03-08", "8:05", "16:00").shift(1).expect("good");
        assert_eq!((&*shift.day, &*shift.starts), ("2026-03-08", "08:05"));
        assert_eq!(shift.week(), "2026-03-02");
        assert_eq!(
            monday(jiff::civil::date(2026, 3, 2)).to_string(),
            "2026-03-02"
        );
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_what_would() {
        for (plan, wanted) in [
            (plan("2026-02-30", "08:00", "09:00"), "2026-03-02"),
            (plan("1999-12-31", "08:00", "09:00"), "2000"),
            (plan("2026-03-02", "24:00", "09:00"), "08:30"),
            (plan("2026-03-02", "09:00", "09:00"), "midnight"),
        ] {
            let failure = plan.shift(1).expect_err(wanted);
            assert!(failure.to_string().contains(wanted), "{failure}");
        }
    }
}
