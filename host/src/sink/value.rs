//! Values as people read and write them, and their encoded cells.
//!
//! Both stores' answers become these values, so that a query prints the same whoever answers it.

use std::fmt;
use std::net::IpAddr;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;

use crate::row::CqlType;

/// A value that a query answers with.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// There is none.
    Null,
    /// Text, and whatever is best read as text: dates, times, ids, addresses.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// A number of 32 bits, which prints with fewer digits than it has as one of 64.
    Float(f32),
    /// A number of 64 bits.
    Double(f64),
    /// Yes or no.
    Boolean(bool),
    /// A time, in milliseconds since 1970.
    Timestamp(i64),
    /// Bytes.
    Blob(Vec<u8>),
}

/// The day that a date of 0 days stands for is 2^31 days before 1970.
const DATE_EPOCH: i64 = 1 << 31;

impl Value {
    /// The value of a cell. A cell that is not one of its type is shown as its bytes.
    pub fn of_cell(kind: CqlType, cell: &[u8]) -> Self {
        decoded(kind, cell).unwrap_or_else(|| Self::Blob(cell.to_vec()))
    }

    /// The value as JSON has it.
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Null => serde_json::Value::Null,
            Self::Integer(number) => (*number).into(),
            Self::Boolean(yes) => (*yes).into(),
            // By way of its text: a float's digits, not those of the double beside it.
            Self::Float(number) => number
                .to_string()
                .parse::<f64>()
                .map_or(serde_json::Value::Null, Into::into),
            Self::Double(number) => (*number).into(),
            Self::Text(_) | Self::Timestamp(_) | Self::Blob(_) => self.to_string().into(),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => Ok(()),
            Self::Text(text) => f.write_str(text),
            Self::Integer(number) => number.fmt(f),
            Self::Float(number) => number.fmt(f),
            Self::Double(number) => number.fmt(f),
            Self::Boolean(yes) => yes.fmt(f),
            Self::Timestamp(ms) => match Timestamp::from_millisecond(*ms) {
                Ok(time) => write!(f, "{time:.3}"),
                Err(_) => write!(f, "{ms} ms"),
            },
            Self::Blob(bytes) => {
                f.write_str("0x")?;
                bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }
    }
}

fn decoded(kind: CqlType, cell: &[u8]) -> Option<Value> {
    Some(match kind {
        CqlType::Ascii | CqlType::Text => Value::Text(str::from_utf8(cell).ok()?.into()),
        CqlType::Blob => Value::Blob(cell.into()),
        CqlType::Boolean => Value::Boolean(*cell.first()? != 0),
        CqlType::Tinyint => Value::Integer(i8::from_be_bytes(cell.try_into().ok()?).into()),
        CqlType::Smallint => Value::Integer(i16::from_be_bytes(cell.try_into().ok()?).into()),
        CqlType::Int => Value::Integer(i32::from_be_bytes(cell.try_into().ok()?).into()),
        CqlType::Bigint => Value::Integer(i64::from_be_bytes(cell.try_into().ok()?)),
        CqlType::Float => Value::Float(f32::from_be_bytes(cell.try_into().ok()?)),
        CqlType::Double => Value::Double(f64::from_be_bytes(cell.try_into().ok()?)),
        CqlType::Timestamp => Value::Timestamp(i64::from_be_bytes(cell.try_into().ok()?)),
        CqlType::Date => {
            let days = i64::from(u32::from_be_bytes(cell.try_into().ok()?)) - DATE_EPOCH;
            let day = Timestamp::from_second(days.checked_mul(86_400)?).ok()?;
            Value::Text(day.to_zoned(TimeZone::UTC).date().to_string())
        }
        CqlType::Time => {
            let nanoseconds = i64::from_be_bytes(cell.try_into().ok()?);
            let (seconds, rest) = (nanoseconds / 1_000_000_000, nanoseconds % 1_000_000_000);
            let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
            Value::Text(format!(
                "{hours:02}:{minutes:02}:{:02}.{rest:09}",
                seconds % 60
            ))
        }
        CqlType::Uuid | CqlType::Timeuuid => {
            Value::Text(uuid::Uuid::from_slice(cell).ok()?.to_string())
        }
        CqlType::Inet => Value::Text(match cell.len() {
            4 => IpAddr::from(<[u8; 4]>::try_from(cell).ok()?).to_string(),
            _ => IpAddr::from(<[u8; 16]>::try_from(cell).ok()?).to_string(),
        }),
        // Numbers without bounds have no type here that holds them: their bytes are shown.
        CqlType::Decimal | CqlType::Varint | CqlType::Duration => Value::Blob(cell.into()),
    })
}

/// The cell of a text that a person wrote.
///
/// # Errors
/// What is expected instead.
pub fn cell_of_text(kind: CqlType, text: &str) -> Result<Vec<u8>, String> {
    fn number<T: std::str::FromStr, const N: usize>(
        text: &str,
        bytes: fn(T) -> [u8; N],
    ) -> Option<Vec<u8>> {
        text.parse().ok().map(|number| bytes(number).to_vec())
    }
    let (cell, expected) = match kind {
        CqlType::Ascii if !text.is_ascii() => (None, "ASCII text"),
        CqlType::Ascii | CqlType::Text => (Some(text.into()), "text"),
        CqlType::Blob => (hexadecimal(text), "bytes like 0x00ff"),
        CqlType::Boolean => (
            text.parse().ok().map(|yes: bool| vec![yes.into()]),
            "true or false",
        ),
        CqlType::Tinyint => (
            number(text, i8::to_be_bytes),
            "a whole number from -128 to 127",
        ),
        CqlType::Smallint => (number(text, i16::to_be_bytes), "a whole number of 16 bits"),
        CqlType::Int => (number(text, i32::to_be_bytes), "a whole number of 32 bits"),
        CqlType::Bigint => (number(text, i64::to_be_bytes), "a whole number of 64 bits"),
        CqlType::Float => (number(text, f32::to_be_bytes), "a number"),
        CqlType::Double => (number(text, f64::to_be_bytes), "a number"),
        CqlType::Timestamp => {
            let time = time_of_text(text).map(|time| time.as_millisecond().to_be_bytes().to_vec());
            (
                time,
                "a time like 2026-03-02T16:00:00Z, or milliseconds since 1970",
            )
        }
        CqlType::Date => (date_cell(text), "a date like 2026-03-02"),
        CqlType::Time => (time_cell(text), "a time of day like 16:05:00"),
        CqlType::Uuid | CqlType::Timeuuid => (
            text.parse()
                .ok()
                .map(|id: uuid::Uuid| id.as_bytes().to_vec()),
            "a UUID",
        ),
        CqlType::Inet => {
            let address = text.parse().ok().map(|address: IpAddr| match address {
                IpAddr::V4(address) => address.octets().to_vec(),
                IpAddr::V6(address) => address.octets().to_vec(),
            });
            (address, "an IP address")
        }
        CqlType::Decimal | CqlType::Varint | CqlType::Duration => {
            (hexadecimal(text), "its bytes like 0x00ff")
        }
    };
    cell.ok_or_else(|| format!("`{text}` is not {expected}"))
}

fn date_cell(text: &str) -> Option<Vec<u8>> {
    let midnight = text.parse::<Date>().ok()?.to_zoned(TimeZone::UTC).ok()?;
    let days = midnight.timestamp().as_second().div_euclid(86_400);
    let days = u32::try_from(days + DATE_EPOCH).ok()?;
    Some(days.to_be_bytes().to_vec())
}

fn time_cell(text: &str) -> Option<Vec<u8>> {
    let since_midnight = text.parse::<Time>().ok()?.duration_since(Time::midnight());
    let nanoseconds = i64::try_from(since_midnight.as_nanos()).ok()?;
    Some(nanoseconds.to_be_bytes().to_vec())
}

/// A time as people write it: ISO 8601, without a zone in UTC, the end of it left out at will; or
/// milliseconds since 1970.
pub(crate) fn time_of_text(text: &str) -> Option<Timestamp> {
    // Nothing shorter than 10 digits is milliseconds of a time that anybody asks for.
    if text.len() >= 10
        && let Ok(ms) = text.parse()
    {
        return Timestamp::from_millisecond(ms).ok();
    }
    if let Ok(time) = text.parse() {
        return Some(time);
    }
    // `2026-03-02T16` is complete enough for a person.
    let padded = match text.len() {
        13 => format!("{text}:00"),
        _ => text.into(),
    };
    let time: DateTime = padded.parse().ok()?;
    Some(time.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

fn hexadecimal(text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_prefix("0x")?.as_bytes();
    let digit = |digit: u8| u8::try_from(char::from(digit).to_digit(16)?).ok();
    let pairs = digits.chunks(2);
    pairs
        .map(|pair| Some(digit(pair[0])? * 16 + digit(*pair.get(1)?)?))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_come_back_as_the_text_they_were_made_of() {
        let check = |kind: CqlType, text: &str, json: &str| {
            let value = Value::of_cell(kind, &cell_of_text(kind, text).unwrap());
            assert_eq!(
                (
                    value.to_string().as_str(),
                    value.to_json().to_string().as_str()
                ),
                (text, json)
            );
        };
        check(CqlType::Text, "Ada", r#""Ada""#);
        check(CqlType::Ascii, "", r#""""#);
        check(CqlType::Blob, "0x00ff", r#""0x00ff""#);
        check(CqlType::Boolean, "true", "true");
        check(CqlType::Tinyint, "-128", "-128");
        check(CqlType::Smallint, "300", "300");
        check(CqlType::Int, "-7", "-7");
        check(
            CqlType::Bigint,
            "9223372036854775807",
            "9223372036854775807",
        );
        check(CqlType::Float, "0.1", "0.1");
        check(CqlType::Double, "0.1", "0.1");
        check(
            CqlType::Timestamp,
            "2026-03-02T16:00:00.007Z",
            r#""2026-03-02T16:00:00.007Z""#,
        );
        check(CqlType::Date, "1969-12-31", r#""1969-12-31""#);
        check(
            CqlType::Time,
            "16:05:00.000000001",
            r#""16:05:00.000000001""#,
        );
        check(
            CqlType::Uuid,
            "123e4567-e89b-42d3-a456-426614174000",
            r#""123e4567-e89b-42d3-a456-426614174000""#,
        );
        check(CqlType::Inet, "::1", r#""::1""#);
        check(CqlType::Inet, "127.0.0.1", r#""127.0.0.1""#);
        check(CqlType::Varint, "0x0100", r#""0x0100""#);
    }

    #[test]
    fn what_is_no_value_is_told() {
        let check = |kind: CqlType, text: &str, expected: &str| {
            assert_eq!(cell_of_text(kind, text).unwrap_err(), expected);
        };
        check(
            CqlType::Tinyint,
            "128",
            "`128` is not a whole number from -128 to 127",
        );
        check(CqlType::Blob, "0x0", "`0x0` is not bytes like 0x00ff");
        check(
            CqlType::Timestamp,
            "noon",
            "`noon` is not a time like 2026-03-02T16:00:00Z, or milliseconds since 1970",
        );
        check(CqlType::Ascii, "ü", "`ü` is not ASCII text");
        assert_eq!(Value::of_cell(CqlType::Int, b"abc").to_string(), "0x616263");
    }

    #[test]
    fn times_may_leave_out_their_end() {
        let check = |text: &str, expected: &str| {
            assert_eq!(time_of_text(text).unwrap().to_string(), expected);
        };
        check("2026-03-02", "2026-03-02T00:00:00Z");
        check("2026-03-02T16", "2026-03-02T16:00:00Z");
        check("2026-03-02 16:05", "2026-03-02T16:05:00Z");
        check("2026-03-02T16:05:01+01:00", "2026-03-02T15:05:01Z");
        check("1772467200000", "2026-03-02T16:00:00Z");
    }
}
