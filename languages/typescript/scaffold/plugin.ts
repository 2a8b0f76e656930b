// Readings of sensors, in Celsius and in Fahrenheit.
import { plugin, rejected } from './sluice.js';

// Nothing is colder, in degrees Celsius.
const ABSOLUTE_ZERO = -273.15;

export const transform = plugin({
  name: 'my-plugin',
  fields: { sensor: 'text', time: 'timestamp', celsius: 'double' },
  tables: { readings: ['sensor', 'time', 'celsius', { fahrenheit: 'double' }] },
  codes: ['impossible'],
  transform({ celsius }) {
    if (celsius < ABSOLUTE_ZERO) return rejected('impossible', 'colder than absolute zero');
    return { readings: { fahrenheit: celsius * 1.8 + 32 } };
  },
});
