//! Points in time as databases and logs write them.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};

use crate::{Error, Result};

/// Reads `2024-03-09 12:30`, with a blank or `T` before the time, and maybe seconds, a fraction of them behind a dot or
/// comma, and an offset (`Z`, `+02`, `-0330`, `+02:00`, also behind a blank). Without an offset it is in `zone`.
/// Seconds since 1970 are its [`Timestamp::as_second`].
pub fn parse(text: &str, zone: &TimeZone) -> Result<Timestamp> {
    timestamp(text, zone).ok_or_else(|| Error::bad(format!("not a timestamp: {text}")))
}

fn timestamp(text: &str, zone: &TimeZone) -> Option<Timestamp> {
    let (date, time) = text.split_once([' ', 'T'])?;
    let end =
        time.find(|c: char| !(c.is_ascii_digit() || matches!(c, ':' | '.' | ','))).unwrap_or(time.len());
    let (time, offset) = time.split_at(end);
    if !(fits(date, "9999-99-99") && fits(time.split(['.', ',']).next()?, "99:99:99")) {
        return None;
    }
    let local: DateTime = format!("{date}T{time}").parse().ok()?;
    match offset.strip_prefix(' ').unwrap_or(offset) {
        "" if offset.is_empty() => local.to_zoned(zone.clone()).ok().map(|zoned| zoned.timestamp()),
        "Z" => Offset::UTC.to_timestamp(local).ok(),
        offset => self::offset(offset)?.to_timestamp(local).ok(),
    }
}

/// Whether a text has digits where the pattern has, and the pattern's other characters; of a time the seconds may be
/// missing.
fn fits(text: &str, pattern: &str) -> bool {
    let fits = |(have, want): (u8, u8)| if want == b'9' { have.is_ascii_digit() } else { have == want };
    let is_whole = text.len() == pattern.len() || pattern.contains(':') && text.len() == "99:99".len();
    is_whole && text.bytes().zip(pattern.bytes()).all(fits)
}

fn offset(text: &str) -> Option<Offset> {
    let sign = match text.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let digits: String = text[1..].chars().enumerate().filter(|at| *at != (2, ':')).map(|(_, c)| c).collect();
    let number = |digits: &str| digits.parse::<i32>().ok();
    let is_all_digits = digits.bytes().all(|byte| byte.is_ascii_digit());
    let (hours, minutes) = match digits.len() {
        2 if is_all_digits && !text.ends_with(':') => (number(&digits)?, 0),
        4 if is_all_digits => (number(&digits[..2])?, number(&digits[2..])?),
        _ => return None,
    };
    let seconds = sign * (hours * 3600 + minutes * 60);
    (minutes < 60).then(|| Offset::from_seconds(seconds).ok()).flatten()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    const NOON: i64 = 1_709_985_600;

    #[test]
    fn every_form_is_read() {
        let rows = [
            ("2024-03-09 12:00", NOON),
            ("2024-03-09T12:00", NOON),
            ("2024-03-09 12:00:07", NOON + 7),
            ("2024-03-09 12:00:07Z", NOON + 7),
            ("2024-03-09 12:00:07 Z", NOON + 7),
            ("2024-03-09 12:00+02", NOON - 2 * 3600),
            ("2024-03-09 12:00:00 +0230", NOON - 9000),
            ("2024-03-09 12:00:00-02:30", NOON + 9000),
            ("2024-03-09T12:00:00.5+00:00", NOON),
        ];
        for (text, second) in rows {
            assert_eq!(parse(text, &TimeZone::UTC).unwrap().as_second(), second, "{text}");
        }
        let fraction = |text| parse(text, &TimeZone::UTC).unwrap().subsec_nanosecond();
        assert_eq!(fraction("2024-03-09 12:00:00.123456"), 123_456_000);
        assert_eq!(fraction("2024-03-09 12:00:00,5"), 500_000_000);
    }

    #[test]
    fn without_an_offset_it_is_in_the_zone_given() {
        let two_hours_east = TimeZone::fixed(Offset::constant(2));
        let second = |text| parse(text, &two_hours_east).unwrap().as_second();
        assert_eq!(second("2024-03-09 12:00"), NOON - 2 * 3600);
        assert_eq!(second("2024-03-09 12:00Z"), NOON);
        assert_eq!(second("2024-03-09 12:00+01"), NOON - 3600);
    }

    #[test]
    fn other_texts_are_refused() {
        let texts = [
            "",
            "2024-03-09",
            "2024-03-09 12",
            "2024-3-9 12:00",
            "20240309 120000",
            "2024-02-30 12:00",
            "2024-03-09 24:00",
            "2024-03-09 12:60",
            "2024-03-09  12:00",
            "2024-03-09 12:00 ",
            "2024-03-09 12:00:00.",
            "2024-03-09 12:00.5",
            "2024-03-09 12:00+2",
            "2024-03-09 12:00+0:200",
            "2024-03-09 12:00+02:",
            "2024-03-09 12:00+02:60",
            "2024-03-09 12:00X",
            "2024-03-09 12:00+99",
            "2024-03-09 12:00  Z",
            "2024-03-09 12:00+02:3",
            "2024-03-09 12:00:5",
            "2024-03-09 12:00:00.1.2",
            "2024-03-09 12:00+0é",
        ];
        for text in texts {
            let refusal = parse(text, &TimeZone::UTC).map(|timestamp| timestamp.to_string()).unwrap_err();
            assert_eq!(refusal.to_string(), format!("not a timestamp: {text}"));
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(second in -60_000_000_000..250_000_000_000_i64, offset in -86_400..86_400) {
            let timestamp = Timestamp::from_second(second).unwrap();
            let zone = TimeZone::fixed(Offset::from_seconds(offset / 900 * 900).unwrap());
            let text = timestamp.to_zoned(zone).strftime("%Y-%m-%d %H:%M:%S%:z").to_string();
            prop_assert_eq!(parse(&text, &TimeZone::UTC).unwrap(), timestamp);
        }

        #[test]
        fn anything_is_read_or_refused(text in "(2024-03-09[ T]12:00)?[0-9:., TZ+é-]{0,10}") {
            let _ = parse(&text, &TimeZone::UTC);
        }
    }
}
