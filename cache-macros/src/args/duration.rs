//! Reads a duration as it is written: `1800`, `"30m"`, `"1h30m"`.

/// The longest one: a year and a day. A longer one is a slip of the units.
const LONGEST: u64 = 366 * 24 * 60 * 60 * 1000;

const UNITS: [(&str, u64); 6] = [
    ("w", 7 * 24 * 60 * 60 * 1000),
    ("d", 24 * 60 * 60 * 1000),
    ("h", 60 * 60 * 1000),
    ("m", 60 * 1000),
    ("s", 1000),
    ("ms", 1),
];

/// What a duration is for: how messages call it, and whether it may be zero.
#[derive(Clone, Copy)]
pub(crate) struct Purpose {
    /// `the time to live`.
    pub(crate) the: &'static str,
    /// `a time to live`.
    pub(crate) a: &'static str,
    /// Why it can't be zero, and what to write instead.
    pub(crate) zero: Option<&'static str>,
}

impl Purpose {
    /// That of an option which is called by its name.
    pub(crate) const fn option(name: &'static str, zero: Option<&'static str>) -> Self {
        Self {
            the: name,
            a: name,
            zero,
        }
    }

    /// The milliseconds that a text stands for. Without a unit it is seconds.
    pub(crate) fn parse(self, text: &str) -> Result<u64, String> {
        if let Ok(seconds) = text.parse::<u128>() {
            return self.seconds(seconds);
        }
        if text.is_empty() {
            return Err(format!(
                "{} is empty: write a number and a unit, such as `\"30m\"`",
                self.the
            ));
        }
        let mut total: u64 = 0;
        let mut rest = text;
        while !rest.is_empty() {
            let (digits, after) = rest.split_at(span(rest, |c| c.is_ascii_digit()));
            let (unit, after) = after.split_at(span(after, |c| !c.is_ascii_digit()));
            rest = after;
            if digits.is_empty() {
                return Err(format!(
                    "expected a number before `{unit}` in `\"{text}\"`: write it like `\"1h30m\"`"
                ));
            }
            if unit.is_empty() {
                return Err(format!(
                    "`{digits}` has no unit in `\"{text}\"`: the units are w, d, h, m, s and ms"
                ));
            }
            let Some((_, millis)) = UNITS.iter().find(|(name, _)| *name == unit) else {
                return Err(format!(
                    "unknown unit `{unit}` in `\"{text}\"`: the units are w, d, h, m, s and ms, as in `\"1h30m\"`"
                ));
            };
            total = digits
                .parse::<u64>()
                .ok()
                .and_then(|number| number.checked_mul(*millis))
                .and_then(|part| part.checked_add(total))
                .ok_or_else(|| self.too_long())?;
        }
        self.bounded(total)
    }

    /// The milliseconds of a number of seconds.
    pub(crate) fn seconds(self, seconds: u128) -> Result<u64, String> {
        seconds
            .checked_mul(1000)
            .and_then(|millis| u64::try_from(millis).ok())
            .map_or_else(|| Err(self.too_long()), |millis| self.bounded(millis))
    }

    fn bounded(self, millis: u64) -> Result<u64, String> {
        match (millis, self.zero) {
            (0, Some(why)) => Err(format!("{} of zero {why}", self.a)),
            (0..=LONGEST, _) => Ok(millis),
            _ => Err(self.too_long()),
        }
    }

    fn too_long(self) -> String {
        format!(
            "{} is longer than 366 days: the units are w, d, h, m, s and ms, and a plain number is seconds",
            self.the
        )
    }
}

fn span(text: &str, of: impl Fn(char) -> bool) -> usize {
    text.find(|c| !of(c)).unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TTL: Purpose = Purpose::option("ttl", Some("caches nothing"));

    #[test]
    fn texts_are_read_in_their_units() {
        assert_eq!(TTL.parse("30m"), Ok(30 * 60 * 1000));
        assert_eq!(TTL.parse("1h30m"), Ok(90 * 60 * 1000));
        assert_eq!(TTL.parse("1w2d3h4m5s6ms"), Ok(788_645_006));
        assert_eq!(TTL.parse("250ms"), Ok(250));
        assert_eq!(TTL.parse("1800"), Ok(1_800_000));
        assert_eq!(TTL.parse("366d"), Ok(LONGEST));
        assert_eq!(Purpose::option("stale", None).parse("0s"), Ok(0));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for text in [
            "",
            "0",
            "0s",
            "m",
            "1h30",
            "5 m",
            "1x",
            "-1s",
            "1.5h",
            "367d",
            "99999999999999999999w",
        ] {
            assert!(TTL.parse(text).is_err(), "{text}");
        }
    }
}
