//! Texts for people: spans, sizes, times; and what others wrote, made harmless.

use std::fmt::{self, Write as _};
use std::time::Duration;

/// A text of somebody else's: nothing in it can steer a terminal, end a line, or turn its direction.
/// What could is shown as `\n`, `\x1b` or `\u{202e}`.
pub(super) struct Safe<'a>(pub(super) &'a str);

impl fmt::Display for Safe<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '\n' => f.write_str("\\n")?,
                '\r' => f.write_str("\\r")?,
                '\t' => f.write_str("\\t")?,
                c if c.is_ascii_control() => write!(f, "\\x{:02x}", u32::from(c))?,
                c if c.is_control() || steers(c) => write!(f, "\\u{{{:x}}}", u32::from(c))?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// Whether a character moves others about, or can't be seen.
fn steers(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Bytes that should be a text; those that are none are shown as `\xff`.
pub(super) fn lossy(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            // Writing to a string does not fail.
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

/// A span as it is written in arguments: `500ms`, `90s`, `30m`, `6h`, `1d`; a number alone is seconds.
pub(super) fn span(text: &str) -> Result<Duration, String> {
    let wrong = || "write a number and a unit: 500ms, 90s, 30m, 6h or 1d".to_owned();
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let millis = match unit {
        "ms" => Some(1),
        "" | "s" => Some(1000),
        "m" => Some(60_000),
        "h" => Some(3_600_000),
        "d" => Some(86_400_000),
        _ => None,
    };
    millis
        .and_then(|unit| number.checked_mul(unit))
        .filter(|millis| *millis <= 366 * 86_400_000)
        .map(Duration::from_millis)
        .ok_or_else(wrong)
}

/// A span as it is shown, with two or three digits: `340us`, `1.2ms`, `45s`, `3m 20s`, `2d 4h`.
pub(super) fn shown(span: Duration) -> String {
    let micros = span.as_micros();
    let seconds = span.as_secs();
    let two = |large: u64, unit: &str, small: u64, lesser: &str| {
        if small == 0 {
            format!("{large}{unit}")
        } else {
            format!("{large}{unit} {small}{lesser}")
        }
    };
    match micros {
        0..1_000 => format!("{micros}us"),
        1_000..10_000 => format!("{}.{}ms", micros / 1_000, micros % 1_000 / 100),
        10_000..1_000_000 => format!("{}ms", micros / 1_000),
        1_000_000..10_000_000 => format!("{}.{}s", seconds, span.subsec_millis() / 100),
        _ => match seconds {
            0..60 => format!("{seconds}s"),
            60..3_600 => two(seconds / 60, "m", seconds % 60, "s"),
            3_600..86_400 => two(seconds / 3_600, "h", seconds / 60 % 60, "m"),
            _ => two(seconds / 86_400, "d", seconds / 3_600 % 24, "h"),
        },
    }
}

/// The same of milliseconds.
pub(super) fn shown_ms(millis: u64) -> String {
    match millis {
        0 => "0s".to_owned(),
        millis => shown(Duration::from_millis(millis)),
    }
}

/// The same of microseconds, or nothing.
pub(super) fn shown_us(micros: Option<u64>) -> String {
    micros.map_or_else(
        || "-".to_owned(),
        |micros| shown(Duration::from_micros(micros)),
    )
}

/// A size: `812 B`, `3.4 KiB`.
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut tenths = bytes.saturating_mul(10) / 1024;
    let mut unit = 0;
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths /= 1024;
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

/// A share from 0 to 1 in percent, without the sign.
pub(super) fn percent(ratio: Option<f64>) -> String {
    ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{:.1}", ratio * 100.0))
}

/// A moment, in UTC: `2026-01-31 12:05:09`.
pub(super) fn moment(unix_seconds: u64) -> String {
    let (days, rest) = (unix_seconds / 86_400, unix_seconds % 86_400);
    // Days are counted in eras of 400 years that begin in March, so that a leap day is the last one.
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}",
        rest / 3_600,
        rest / 60 % 60,
        rest % 60
    )
}

/// Hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            // Writing to a string does not fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_others_steers_a_terminal() {
        let hostile = "a\x1b[2J\n\r\t\u{9b}31m\u{202e}\u{7f}\u{200b}ü";
        let shown = Safe(hostile).to_string();
        assert_eq!(
            shown,
            "a\\x1b[2J\\n\\r\\t\\u{9b}31m\\u{202e}\\x7f\\u{200b}ü"
        );
        assert_eq!(lossy(b"a\xffb\xc3"), "a\\xffb\\xc3");
    }

    #[test]
    fn spans_are_read() {
        assert_eq!(span("90"), Ok(Duration::from_secs(90)));
        assert_eq!(span("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(span("2d"), Ok(Duration::from_hours(48)));
        for wrong in [
            "",
            "m",
            "-1s",
            "1.5h",
            "1y",
            "99999999999999999999s",
            "9999999d",
        ] {
            assert!(span(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn spans_sizes_and_moments_are_shown() {
        let spans = [
            (0, "0us"),
            (999, "999us"),
            (1_250, "1.2ms"),
            (340_000, "340ms"),
            (9_990_000, "9.9s"),
            (59_000_000, "59s"),
            (200_000_000, "3m 20s"),
            (7_260_000_000, "2h 1m"),
            (187_200_000_000, "2d 4h"),
        ];
        for (micros, text) in spans {
            assert_eq!(shown(Duration::from_micros(micros)), text);
        }
        assert_eq!(size(1023), "1023 B");
        assert_eq!(size(3 * 1024 + 512), "3.5 KiB");
        assert_eq!(size(5 << 30), "5.0 GiB");
        assert_eq!(size(u64::MAX).split(' ').next_back(), Some("TiB"));
        assert_eq!(moment(0), "1970-01-01 00:00:00");
        assert_eq!(moment(951_827_696), "2000-02-29 12:34:56");
        assert_eq!(moment(1_798_761_599), "2026-12-31 23:59:59");
        assert_eq!(hex(&[0, 0xab]), "00ab");
    }
}
