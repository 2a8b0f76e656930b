//! Readings of sensors, in Celsius and in Fahrenheit.

use sluice_plugin::CqlType::{Double, Text, Timestamp};
use sluice_plugin::{
    Batch, Code, Column, Description, Field, Outcome, Plugin, Target, no_config,
};

const SENSOR: Field = Field::new("sensor", Text);
const TIME: Field = Field::new("time", Timestamp);
const CELSIUS: Field = Field::new("celsius", Double);

const READING: &[Column] =
    &[("sensor", Text), ("time", Timestamp), ("celsius", Double), ("fahrenheit", Double)];
const READINGS: Target = Target::upsert("readings", &[READING]);

const IMPOSSIBLE: Code = Code::new("impossible");

/// Nothing is colder, in degrees Celsius.
const ABSOLUTE_ZERO: f64 = -273.15;

/// The plugin: it has neither configuration nor state.
pub struct Readings;

impl Plugin for Readings {
    fn init(config: &str) -> Result<(Self, Description), String> {
        no_config(config)?;
        let description = Description {
            fields: &[SENSOR, TIME, CELSIUS],
            targets: &[READINGS],
            codes: &[IMPOSSIBLE],
            ..Description::new("my-plugin", env!("CARGO_PKG_VERSION"))
        };
        Ok((Self, description))
    }

    fn transform(&mut self, batch: &Batch<'_>, out: &mut Outcome) {
        let (sensors, times) = (batch.field(SENSOR), batch.field(TIME));
        let readings = batch.field(CELSIUS);
        out.each(batch, |message, out| {
            let celsius = readings.at(message).double();
            if celsius < ABSOLUTE_ZERO {
                return Err(IMPOSSIBLE.rejected("colder than absolute zero"));
            }
            out.row(READINGS, message)
                .cell(sensors.at(message))
                .cell(times.at(message))
                .double(celsius)
                .double(celsius * 1.8 + 32.0);
            Ok(())
        });
    }
}

sluice_plugin::export!(Readings);

#[cfg(test)]
mod tests {
    use sluice_plugin::testing::Rig;

    #[test]
    fn readings_are_stored_and_impossible_ones_refused() {
        let rig = Rig::<super::Readings>::new("{}").unwrap();
        let outcomes = rig.run(&[&["attic", "0", "20"], &["attic", "1", "-300"]]);
        let expected = "0 readings: sensor=\"attic\" time=0 celsius=20 fahrenheit=68\n\
                        1 rejected impossible: colder than absolute zero\n";
        assert_eq!(outcomes, expected);
    }
}
