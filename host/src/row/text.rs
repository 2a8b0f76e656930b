//! Cells from text and back: what reference data, samples and people write.
//!
//! Text is taken as it stands: nothing is trimmed, and what is not wholly a value of the type is
//! none.

use std::fmt::Write as _;
use std::net::IpAddr;

use uuid::Uuid;

use super::CqlType;

/// The day 1970-01-01 in a `date` cell.
const EPOCH_DAY: i64 = 1 << 31;

const DAY_NANOS: i64 = 86_400_000_000_000;

/// Appends the cell that a text stands for; `false`, and nothing appended, if it is not of the type.
#[must_use]
pub fn parse(kind: CqlType, text: &str, cell: &mut Vec<u8>) -> bool {
    encode(kind, text, cell).is_some()
}

fn encode(kind: CqlType, text: &str, cell: &mut Vec<u8>) -> Option<()> {
    match kind {
        CqlType::Ascii if !text.is_ascii() => return None,
        CqlType::Ascii | CqlType::Text => cell.extend_from_slice(text.as_bytes()),
        CqlType::Blob => blob(text, cell)?,
        CqlType::Boolean => cell.push(boolean(text)?.into()),
        CqlType::Tinyint => cell.extend(text.parse::<i8>().ok()?.to_be_bytes()),
        CqlType::Smallint => cell.extend(text.parse::<i16>().ok()?.to_be_bytes()),
        CqlType::Int => cell.extend(text.parse::<i32>().ok()?.to_be_bytes()),
        CqlType::Bigint => cell.extend(text.parse::<i64>().ok()?.to_be_bytes()),
        CqlType::Float => cell.extend(float(text)?.to_be_bytes()),
        CqlType::Double => cell.extend(double(text)?.to_be_bytes()),
        CqlType::Timestamp => {
            let millis = text.parse::<i64>().ok().or_else(|| timestamp(text))?;
            cell.extend(millis.to_be_bytes());
        }
        CqlType::Date => cell.extend(date(text)?.to_be_bytes()),
        CqlType::Time => cell.extend(time(text)?.to_be_bytes()),
        CqlType::Uuid => cell.extend(uuid(text)?.as_bytes()),
        CqlType::Timeuuid => {
            let uuid = uuid(text).filter(|uuid| uuid.get_version_num() == 1)?;
            cell.extend(uuid.as_bytes());
        }
        CqlType::Inet => match text.parse::<IpAddr>().ok()? {
            IpAddr::V4(address) => cell.extend(address.octets()),
            IpAddr::V6(address) => cell.extend(address.octets()),
        },
        CqlType::Varint => varint(text, cell)?,
        CqlType::Decimal => decimal(text, cell)?,
        CqlType::Duration => super::duration::parse(text, cell)?,
    }
    Some(())
}

/// Milliseconds since 1970 of an ISO 8601 date, or date and time, with or without seconds, fraction
/// and zone; without a zone it is UTC. What is finer than a millisecond is cut off.
pub fn timestamp(text: &str) -> Option<i64> {
    let (date, rest) = text.as_bytes().split_at_checked(10)?;
    let midnight = days(date)? * (DAY_NANOS / 1_000_000);
    let Some((b'T' | b't' | b' ', rest)) = rest.split_first() else {
        return rest.is_empty().then_some(midnight);
    };
    let zone_at = rest
        .iter()
        .position(|byte| matches!(byte, b'Z' | b'z' | b'+' | b'-'));
    let (clock, zone) = rest.split_at(zone_at.unwrap_or(rest.len()));
    let east = minutes_east(zone)?;
    Some(midnight + nanos(clock)? / 1_000_000 - east * 60_000)
}

fn minutes_east(zone: &[u8]) -> Option<i64> {
    let (sign, rest) = match zone.split_first() {
        None | Some((b'Z' | b'z', [])) => return Some(0),
        Some((b'+', rest)) => (1, rest),
        Some((b'-', rest)) => (-1, rest),
        Some(_) => return None,
    };
    let (hours, minutes) = match rest {
        [hours @ .., b':', _, _] if hours.len() == 2 => (hours, &rest[3..]),
        [_, _, minutes @ ..] if minutes.len() == 2 || minutes.is_empty() => (&rest[..2], minutes),
        _ => return None,
    };
    let minutes = if minutes.is_empty() {
        0
    } else {
        digits(minutes)?
    };
    let hours = digits(hours)?;
    (hours <= 23 && minutes <= 59).then_some(sign * (hours * 60 + minutes))
}

/// The number that is written with digits alone.
fn digits(text: &[u8]) -> Option<i64> {
    let is_number = (1..=18).contains(&text.len()) && text.iter().all(u8::is_ascii_digit);
    is_number.then(|| {
        text.iter()
            .fold(0, |sum, byte| sum * 10 + i64::from(byte - b'0'))
    })
}

/// Days since 1970-01-01 of `YYYY-MM-DD` in the Gregorian calendar, continued backwards.
fn days(text: &[u8]) -> Option<i64> {
    let [y @ .., b'-', m1, m2, b'-', d1, d2] = text else {
        return None;
    };
    let (year, month, day) = (digits(y)?, digits(&[*m1, *m2])?, digits(&[*d1, *d2])?);
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 => 28 + i64::from(is_leap),
        _ => return None,
    };
    if y.len() != 4 || !(1..=last).contains(&day) {
        return None;
    }
    // Years that begin in March have their leap day at the end.
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    Some(era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468)
}

/// The date `days` after 1970-01-01, as `days` takes it.
fn date_of(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

/// Nanoseconds since midnight of `HH:MM[:SS[.fraction]]`.
fn nanos(text: &[u8]) -> Option<i64> {
    let [h1, h2, b':', m1, m2, rest @ ..] = text else {
        return None;
    };
    let (seconds, fraction) = match rest {
        [] => (0, &[][..]),
        [b':', s1, s2] => (digits(&[*s1, *s2])?, &[][..]),
        [b':', s1, s2, b'.' | b',', fraction @ ..] => (digits(&[*s1, *s2])?, fraction),
        _ => return None,
    };
    if rest.len() == 4 || fraction.len() > 9 {
        return None;
    }
    let mut nanos = if fraction.is_empty() {
        0
    } else {
        digits(fraction)?
    };
    for _ in fraction.len()..9 {
        nanos *= 10;
    }
    let (hours, minutes) = (digits(&[*h1, *h2])?, digits(&[*m1, *m2])?);
    let is_clock = hours <= 23 && minutes <= 59 && seconds <= 59;
    is_clock.then_some(((hours * 60 + minutes) * 60 + seconds) * 1_000_000_000 + nanos)
}

fn date(text: &str) -> Option<u32> {
    u32::try_from(days(text.as_bytes())? + EPOCH_DAY).ok()
}

fn time(text: &str) -> Option<i64> {
    nanos(text.as_bytes())
}

fn uuid(text: &str) -> Option<Uuid> {
    (text.len() == 36)
        .then(|| Uuid::try_parse(text).ok())
        .flatten()
}

fn boolean(text: &str) -> Option<bool> {
    match text {
        _ if text.eq_ignore_ascii_case("true") => Some(true),
        _ if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

/// Only figures: Rust would also take `inf`, `nan` and `infinity`.
fn is_figure(text: &str) -> bool {
    text.bytes()
        .all(|byte| byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.' | b'e' | b'E'))
}

fn float(text: &str) -> Option<f32> {
    let value = is_figure(text)
        .then(|| text.parse::<f32>().ok())
        .flatten()?;
    value.is_finite().then_some(value)
}

fn double(text: &str) -> Option<f64> {
    let value = is_figure(text)
        .then(|| text.parse::<f64>().ok())
        .flatten()?;
    value.is_finite().then_some(value)
}

fn blob(text: &str, cell: &mut Vec<u8>) -> Option<()> {
    let hex = text
        .strip_prefix("0x")
        .or_else(|| text.strip_prefix("0X"))?
        .as_bytes();
    let nibble = |byte: u8| {
        char::from(byte)
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok())
    };
    if hex.len() % 2 != 0 || !hex.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    cell.extend(
        hex.chunks_exact(2)
            .filter_map(|pair| Some(nibble(pair[0])? << 4 | nibble(pair[1])?)),
    );
    Some(())
}

/// Two's complement, big-endian, as few bytes as can be.
fn varint(text: &str, cell: &mut Vec<u8>) -> Option<()> {
    let (is_negative, figures) = match text.as_bytes() {
        [b'-', figures @ ..] => (true, figures),
        figures => (false, figures),
    };
    // 1,000 digits are beyond any use, and multiplying grows with their square.
    if figures.is_empty() || figures.len() > 1_000 || !figures.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let mut magnitude: Vec<u8> = vec![0]; // little-endian
    for figure in figures {
        let mut carry = u16::from(figure - b'0');
        for byte in &mut magnitude {
            let [low, high] = (u16::from(*byte) * 10 + carry).to_le_bytes();
            (*byte, carry) = (low, u16::from(high));
        }
        if carry > 0 {
            magnitude.push(carry.to_le_bytes()[0]);
        }
    }
    if is_negative {
        let mut carry = true;
        for byte in &mut magnitude {
            (*byte, carry) = (!*byte).overflowing_add(carry.into());
        }
    }
    let sign = if is_negative && magnitude.iter().any(|byte| *byte != 0) {
        0xff
    } else {
        0
    };
    magnitude.push(sign);
    while let [.., below, last] = magnitude[..] {
        if last != sign || (below ^ sign) & 0x80 != 0 {
            break;
        }
        magnitude.pop();
    }
    cell.extend(magnitude.iter().rev());
    Some(())
}

/// `[i32 scale][varint]`.
fn decimal(text: &str, cell: &mut Vec<u8>) -> Option<()> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.trim_start_matches('-').is_empty() || (mantissa.contains('.') && fraction.is_empty()) {
        return None;
    }
    let scale = i32::try_from(fraction.len()).ok()?.checked_sub(exponent)?;
    let start = cell.len();
    cell.extend(scale.to_be_bytes());
    let unscaled = varint(&format!("{whole}{fraction}"), cell);
    if unscaled.is_none() {
        cell.truncate(start);
    }
    unscaled
}

/// What a cell says, for people. A cell that is not of the type is shown in hexadecimal.
pub fn show(kind: CqlType, cell: &[u8]) -> String {
    shown(kind, cell).unwrap_or_else(|| hex(cell))
}

fn shown(kind: CqlType, cell: &[u8]) -> Option<String> {
    Some(match kind {
        CqlType::Ascii | CqlType::Text => std::str::from_utf8(cell).ok()?.to_owned(),
        CqlType::Blob => return None,
        CqlType::Boolean => (u8::from_be_bytes(cell.try_into().ok()?) != 0).to_string(),
        CqlType::Tinyint => i8::from_be_bytes(cell.try_into().ok()?).to_string(),
        CqlType::Smallint => i16::from_be_bytes(cell.try_into().ok()?).to_string(),
        CqlType::Int => i32::from_be_bytes(cell.try_into().ok()?).to_string(),
        CqlType::Bigint => i64::from_be_bytes(cell.try_into().ok()?).to_string(),
        CqlType::Float => f32::from_be_bytes(cell.try_into().ok()?).to_string(),
        CqlType::Double => f64::from_be_bytes(cell.try_into().ok()?).to_string(),
        CqlType::Timestamp => {
            let millis = i64::from_be_bytes(cell.try_into().ok()?);
            let (day, rest) = (millis.div_euclid(86_400_000), millis.rem_euclid(86_400_000));
            format!("{}T{}Z", show_day(day), show_clock(rest * 1_000_000, 3))
        }
        CqlType::Date => show_day(i64::from(u32::from_be_bytes(cell.try_into().ok()?)) - EPOCH_DAY),
        CqlType::Time => {
            let nanos = i64::from_be_bytes(cell.try_into().ok()?);
            (0..DAY_NANOS)
                .contains(&nanos)
                .then(|| show_clock(nanos, 9))?
        }
        CqlType::Uuid | CqlType::Timeuuid => Uuid::from_slice(cell).ok()?.to_string(),
        CqlType::Inet => match cell.len() {
            4 => IpAddr::from(<[u8; 4]>::try_from(cell).ok()?).to_string(),
            _ => IpAddr::from(<[u8; 16]>::try_from(cell).ok()?).to_string(),
        },
        CqlType::Varint => small(cell)?.to_string(),
        CqlType::Decimal => {
            let (scale, unscaled) = cell.split_first_chunk::<4>()?;
            format!(
                "{}e{}",
                small(unscaled)?,
                -i64::from(i32::from_be_bytes(*scale))
            )
        }
        CqlType::Duration => super::duration::show(cell)?,
    })
}

/// A varint that fits 128 bits.
fn small(cell: &[u8]) -> Option<i128> {
    let sign = if *cell.first()? >= 0x80 { 0xff } else { 0 };
    let mut bytes = [sign; 16];
    bytes
        .get_mut(16_usize.checked_sub(cell.len())?..)?
        .copy_from_slice(cell);
    Some(i128::from_be_bytes(bytes))
}

fn show_day(days: i64) -> String {
    let (year, month, day) = date_of(days);
    format!("{year:04}-{month:02}-{day:02}")
}

fn show_clock(nanos: i64, digits: usize) -> String {
    let (seconds, nanos) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
    let fraction = format!("{nanos:09}");
    let (hours, minutes) = (seconds / 3_600, seconds / 60 % 60);
    format!(
        "{hours:02}:{minutes:02}:{:02}.{}",
        seconds % 60,
        &fraction[..digits]
    )
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold("0x".to_owned(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes everything");
        text
    })
}

#[cfg(test)]
mod tests;
