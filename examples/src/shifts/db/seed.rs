//! The generated rows: the same in every database, so that two of them can be compared.

use jiff::ToSpan as _;
use jiff::civil::{Date, date};
use rusqlite::{Transaction, params};

use crate::shifts::failure::Failure;

const WORKPLACES: i64 = 48;
const WEEKS: i64 = 4;
const JOBS: i64 = 600;

/// The first day that has shifts: a Monday.
const FIRST_DAY: Date = date(2026, 3, 2);

const CITIES: [&str; 8] = [
    "Aarhus", "Bergen", "Ghent", "Graz", "Malmö", "Porto", "Turku", "Łódź",
];
const PLACES: [&str; 6] = ["Bakery", "Café", "Clinic", "Depot", "Hotel", "Kitchen"];
const ROLES: [&str; 6] = ["baker", "cleaner", "cook", "driver", "host", "nurse"];
const FIRST: [&str; 12] = [
    "Ada", "Bo", "Chiara", "Dmitri", "Elif", "Finn", "Gwen", "Hugo", "Inês", "Jonas", "Kaya",
    "Łucja",
];
const LAST: [&str; 12] = [
    "Almeida", "Berg", "Claes", "Dahl", "Eriksen", "Ferreira", "Gruber", "Hansen", "Ito",
    "Janssen", "Kowalski", "Lund",
];
const SETTINGS: [(&str, &str); 8] = [
    ("currency", "EUR"),
    ("week.starts", "monday"),
    ("shift.max_hours", "10"),
    ("shift.min_rest_hours", "11"),
    ("overtime.factor", "1.5"),
    ("night.starts", "22:00"),
    ("night.factor", "1.25"),
    ("notice.days", "14"),
];

/// Fills empty tables.
pub(super) fn fill(transaction: &Transaction<'_>) -> Result<(), Failure> {
    let mut dice = Dice(2026);
    let mut place = transaction.prepare("INSERT INTO workplaces VALUES (?, ?, ?)")?;
    let mut person = transaction.prepare("INSERT INTO employees VALUES (?, ?, ?, ?, ?, ?)")?;
    let mut shift = transaction.prepare(
        "INSERT INTO shifts (workplace, employee, day, starts, ends, role) VALUES (?, ?, ?, ?, ?, ?)",
    )?;
    let mut employee = 0_i64;
    for workplace in 1..=WORKPLACES {
        let city = city_of(workplace);
        let name = format!("{} {city} {workplace}", dice.pick(&PLACES));
        place.execute(params![workplace, name, city])?;
        // Some are busier than others, or there would be nothing to warm first.
        for _ in 0..8 + (workplace * 11) % 48 {
            employee += 1;
            let (first, last) = (dice.pick(&FIRST), dice.pick(&LAST));
            let role = dice.pick(&ROLES);
            let email = format!("employee{employee}@shifts.example");
            let cents = 1_200 + dice.below(1_800);
            person.execute(params![
                employee,
                workplace,
                format!("{first} {last}"),
                role,
                email,
                cents
            ])?;
            for week in 0..WEEKS {
                // Two days a week, never the same one twice.
                let day = dice.below(3);
                for day in [day, day + 1 + dice.below(4)] {
                    let starts = 5 + dice.below(9);
                    let nobody = dice.below(20) == 0;
                    shift.execute(params![
                        workplace,
                        (!nobody).then_some(employee),
                        (FIRST_DAY + (week * 7 + day).days()).to_string(),
                        format!("{starts:02}:00"),
                        format!("{:02}:30", starts + 4 + dice.below(5)),
                        role
                    ])?;
                }
            }
        }
    }
    fill_jobs(transaction, &mut dice)?;
    let mut setting = transaction.prepare("INSERT INTO settings VALUES (?, ?)")?;
    for (key, value) in SETTINGS {
        setting.execute([key, value])?;
    }
    Ok(())
}

fn fill_jobs(transaction: &Transaction<'_>, dice: &mut Dice) -> Result<(), Failure> {
    let mut job = transaction.prepare(
        "INSERT INTO jobs (workplace, city, title, hourly_cents, posted) VALUES (?, ?, ?, ?, ?)",
    )?;
    for _ in 0..JOBS {
        let workplace = 1 + dice.below(WORKPLACES);
        let role = dice.pick(&ROLES);
        let title = format!("{role}, {} hours a week", 10 + dice.below(30));
        let posted = FIRST_DAY - dice.below(60).days();
        job.execute(params![
            workplace,
            city_of(workplace),
            title,
            1_200 + dice.below(1_800),
            posted.to_string()
        ])?;
    }
    Ok(())
}

fn city_of(workplace: i64) -> &'static str {
    let index = workplace.unsigned_abs() % CITIES.len() as u64;
    CITIES[usize::try_from(index).unwrap_or_default()]
}

/// A sequence of numbers that looks random and is always the same: `SplitMix64` (Steele, Lea
/// and Flood, 2014).
struct Dice(u64);

impl Dice {
    /// A number from 0 to below `end`.
    fn below(&mut self, end: i64) -> i64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^= mixed >> 31;
        i64::try_from(mixed >> 1).unwrap_or_default() % end
    }

    fn pick(&mut self, from: &[&'static str]) -> &'static str {
        let end = i64::try_from(from.len()).unwrap_or(i64::MAX);
        from[usize::try_from(self.below(end)).unwrap_or_default()]
    }
}
