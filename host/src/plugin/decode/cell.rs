//! Cells from JSON's numbers and texts, strictly by type.

use crate::row::{CqlType, text};

use super::json::{Fault, Number, Parser, Text};

/// How long a date without its clock is.
const DATE_LEN: usize = "2026-03-02".len();

/// Appends a number as a cell; `false` if it is none of the type.
pub(super) fn push_number(kind: CqlType, number: &Number<'_>, cell: &mut Vec<u8>) -> bool {
    let pushed = match kind {
        CqlType::Tinyint => number.integer(|value: i8| cell.extend(value.to_be_bytes())),
        CqlType::Smallint => number.integer(|value: i16| cell.extend(value.to_be_bytes())),
        CqlType::Int => number.integer(|value: i32| cell.extend(value.to_be_bytes())),
        CqlType::Bigint | CqlType::Timestamp => {
            number.integer(|value: i64| cell.extend(value.to_be_bytes()))
        }
        CqlType::Varint => {
            (number.is_integral && text::parse(kind, number.text(), cell)).then_some(())
        }
        CqlType::Float | CqlType::Double | CqlType::Decimal => {
            text::parse(kind, number.text(), cell).then_some(())
        }
        CqlType::Ascii
        | CqlType::Text
        | CqlType::Blob
        | CqlType::Boolean
        | CqlType::Date
        | CqlType::Time
        | CqlType::Uuid
        | CqlType::Timeuuid
        | CqlType::Inet
        | CqlType::Duration => None,
    };
    pushed.is_some()
}

/// Appends a text as a cell; `false` if it is none of the type.
pub(super) fn push_text(
    kind: CqlType,
    token: Text,
    cell: &mut Vec<u8>,
    parser: &mut Parser<'_>,
) -> Result<bool, Fault> {
    let text = parser.text(token)?;
    Ok(match kind {
        CqlType::Text => {
            cell.extend_from_slice(text.as_bytes());
            true
        }
        // Not as `text::parse` has it: there a number is a timestamp too, and so is a date alone. A
        // message has a moment in mind, and one without its clock has lost a part.
        CqlType::Timestamp => match text::timestamp(text).filter(|_| text.len() > DATE_LEN) {
            Some(millis) => {
                cell.extend(millis.to_be_bytes());
                true
            }
            None => false,
        },
        CqlType::Ascii
        | CqlType::Blob
        | CqlType::Date
        | CqlType::Time
        | CqlType::Uuid
        | CqlType::Timeuuid
        | CqlType::Inet
        | CqlType::Decimal
        | CqlType::Duration => text::parse(kind, text, cell),
        CqlType::Boolean
        | CqlType::Tinyint
        | CqlType::Smallint
        | CqlType::Int
        | CqlType::Bigint
        | CqlType::Float
        | CqlType::Double
        | CqlType::Varint => false,
    })
}
