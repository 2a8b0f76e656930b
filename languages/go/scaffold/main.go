// Readings of sensors, in Celsius and in Fahrenheit.
package main

import "plugins/my-plugin/sluice"

// What the host decodes from each message, the tables, and why messages are rejected: by index.
const (
	sensor = iota
	time
	celsius
)
const readings = 0
const impossible = 0

// Nothing is colder, in degrees Celsius.
const absoluteZero = -273.15

func init() {
	sluice.Export(sluice.Plugin{
		Name:    "my-plugin",
		Version: "0.1.0",
		Fields: []sluice.Field{
			sensor:  {Name: "sensor", Kind: sluice.Text},
			time:    {Name: "time", Kind: sluice.Timestamp},
			celsius: {Name: "celsius", Kind: sluice.Double},
		},
		Targets: []sluice.Target{readings: {Table: "readings", Columns: []sluice.Column{
			{"sensor", sluice.Text},
			{"time", sluice.Timestamp},
			{"celsius", sluice.Double},
			{"fahrenheit", sluice.Double},
		}}},
		Codes:     []string{impossible: "impossible"},
		Transform: transform,
	})
}

func transform(batch *sluice.Batch, out *sluice.Outcome) {
	sensors, times, degrees := batch.Fields[sensor], batch.Fields[time], batch.Fields[celsius]
	for message := range batch.Count {
		celsius := degrees.At(message).Float()
		if celsius < absoluteZero {
			out.Reject(message, impossible, "colder than absolute zero")
			continue
		}
		out.Row(readings, message, sensors, times, celsius, celsius*1.8+32)
	}
}

func main() {}
