// What an author gets wrong: each is told with its reason and its line, and the messages beside it are not
// touched. What only looks wrong is there, too.
package main

import "sluice"

const things = 0

var rows = map[string][]any{
	"none":                       {1, 0.5},
	"an int for a double":        {1, 2},
	"a float for an int":         {1.0, 0.5},
	"a number that is too large": {1 << 31, 0.5},
	"a text for a double":        {1, "8 bytes!"},
	"a type of its own":          {int8(1), 0.5},
	"one value too few":          {1},
	"one value too many":         {1, 0.5, 0.5},
}

func init() {
	sluice.Export(sluice.Plugin{
		Name:    "mistakes",
		Version: "0.1.0",
		Fields:  []sluice.Field{{Name: "mistake", Kind: sluice.Text}, {Name: "absent", Kind: sluice.Int, Optional: true}},
		Targets: []sluice.Target{things: {Table: "things", Columns: []sluice.Column{
			{"mistake", sluice.Text}, {"number", sluice.Int}, {"measure", sluice.Double},
		}}},
		Transform: transform,
	})
}

func transform(batch *sluice.Batch, out *sluice.Outcome) {
	mistakes, absent := batch.Fields[0], batch.Fields[1]
	for message := range batch.Count {
		switch mistake := mistakes.At(message).Text(); mistake {
		case "a null that is read":
			out.Row(things, message, mistakes, absent.At(message).Int(), 0.5)
		case "a key that is not asked for":
			out.Row(things, message, mistakes, len(batch.Keys.At(message)), 0.5)
		case "a table that is not declared":
			out.Row(things+1, message, mistakes)
		default:
			out.Row(things, message, append([]any{mistakes}, rows[mistake]...)...)
		}
	}
}

func main() {}
