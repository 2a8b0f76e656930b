//! `avg` and `sum` as Cassandra computes them, to the last digit.
//!
//! Whole numbers: an average is cut off towards zero; a sum that leaves its type wraps around.
//! Others: Kahan's sum in 64 bits, to which Cassandra adds the compensation once more at the end.
//! One difference is left: where numbers of 64 bits add up to more than fits, Cassandra finds an
//! average by way of decimals, and here it is infinite.

use rusqlite::functions::{Aggregate, Context, FunctionFlags};
use rusqlite::types::{Value as Owned, ValueRef};
use rusqlite::{Connection, Result};

use super::real;

/// Makes them known to a connection.
pub(super) fn register(connection: &Connection) -> Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    connection.create_aggregate_function("avg", 1, flags, Function::Average)?;
    connection.create_aggregate_function("sum", 1, flags, Function::Sum)
}

enum Function {
    Average,
    Sum,
}

#[derive(Default)]
struct Total {
    count: i64,
    whole: i128,
    fractional: Fractional,
    is_fractional: bool,
}

impl Aggregate<Total, Owned> for Function {
    fn init(&self, _: &mut Context<'_>) -> Result<Total> {
        Ok(Total::default())
    }

    fn step(&self, context: &mut Context<'_>, total: &mut Total) -> Result<()> {
        let fraction = match context.get_raw(0) {
            ValueRef::Null | ValueRef::Blob(_) => return Ok(()),
            ValueRef::Integer(number) => {
                total.count += 1;
                total.whole += i128::from(number);
                return Ok(());
            }
            ValueRef::Real(number) => number,
            // The only text among numbers.
            ValueRef::Text(_) => f64::NAN,
        };
        total.count += 1;
        total.is_fractional = true;
        total.fractional.add(fraction);
        Ok(())
    }

    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        reason = "no table has 2^52 rows, and Cassandra's sum wraps around"
    )]
    fn finalize(&self, _: &mut Context<'_>, total: Option<Total>) -> Result<Owned> {
        let Some(total) = total.filter(|total| total.count > 0) else {
            return Ok(Owned::Null);
        };
        Ok(match (self, total.is_fractional) {
            (Self::Average, true) => real(total.fractional.sum() / total.count as f64),
            (Self::Sum, true) => real(total.fractional.sum()),
            (Self::Average, false) => {
                let average = i64::try_from(total.whole / i128::from(total.count));
                Owned::Integer(average.expect("the average of numbers lies among them"))
            }
            (Self::Sum, false) => Owned::Integer(total.whole as i64),
        })
    }
}

/// A sum of numbers that are not whole.
#[derive(Default)]
struct Fractional {
    sum: f64,
    compensation: f64,
    /// What tells an infinite sum, which is no number once it is compensated.
    simple: f64,
}

impl Fractional {
    fn add(&mut self, number: f64) {
        self.simple += number;
        let compensated = number - self.compensation;
        let sum = self.sum + compensated;
        self.compensation = (sum - self.sum) - compensated;
        self.sum = sum;
    }

    fn sum(&self) -> f64 {
        let sum = self.sum + self.compensation;
        if sum.is_nan() && self.simple.is_infinite() {
            self.simple
        } else {
            sum
        }
    }
}
