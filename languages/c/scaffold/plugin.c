// Readings of sensors, in Celsius and in Fahrenheit.
#include "sluice.h"

// What the host decodes from each message.
enum { SENSOR, TIME, CELSIUS };
static const sluice_field fields[] = {
  [SENSOR] = { SLUICE("sensor"), sluice_text },
  [TIME] = { SLUICE("time"), sluice_timestamp },
  [CELSIUS] = { SLUICE("celsius"), sluice_double },
};

// The tables that rows go to.
enum { READINGS };
static const sluice_column reading[] = {
  { SLUICE("sensor"), sluice_text },
  { SLUICE("time"), sluice_timestamp },
  { SLUICE("celsius"), sluice_double },
  { SLUICE("fahrenheit"), sluice_double },
};
static const sluice_target targets[] = {
  [READINGS] = { SLUICE("readings"), sluice_upsert, SLUICE_LIST(reading) },
};

// Why messages are rejected.
enum { IMPOSSIBLE };
static const sluice_string codes[] = { [IMPOSSIBLE] = SLUICE("impossible") };

// Nothing is colder, in degrees Celsius.
static const double ABSOLUTE_ZERO = -273.15;

const char *sluice_init(sluice_string config, sluice_description *plugin) {
  *plugin = (sluice_description){
    .name = SLUICE("my-plugin"),
    .version = SLUICE("0.1.0"),
    .fields = SLUICE_LIST(fields),
    .targets = SLUICE_LIST(targets),
    .codes = SLUICE_LIST(codes),
  };
  return sluice_no_config(config);
}

void sluice_transform(const sluice_batch *batch) {
  const sluice_cell *sensors = sluice_read(batch->fields.at[SENSOR]);
  const sluice_cell *times = sluice_read(batch->fields.at[TIME]);
  const sluice_cell *readings = sluice_read(batch->fields.at[CELSIUS]);
  for (uint32_t message = 0; message < batch->count; message++) {
    double celsius = sluice_to_double(readings[message]);
    if (celsius < ABSOLUTE_ZERO) {
      sluice_reject(message, IMPOSSIBLE, "colder than absolute zero");
      continue;
    }
    sluice_rows *row = sluice_row(READINGS, message);
    sluice_put(row, sensors[message]);
    sluice_put(row, times[message]);
    sluice_put_double(row, celsius);
    sluice_put_double(row, celsius * 1.8 + 32);
  }
}
