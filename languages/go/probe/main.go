// What the SDK can, for its test: all types, rows taken back, deletes, ids, and keys that are no field.
package main

import (
	"errors"
	"fmt"

	"sluice"
)

const (
	id = iota
	do
	number
	real
	flag
	when
	day
)
const words = 0
const (
	things = iota
	gone
)
const (
	odd = iota
	unwanted
)

func init() {
	thing := []sluice.Column{
		{"id", sluice.Text}, {"row", sluice.UUID}, {"tiny", sluice.Tinyint}, {"small", sluice.Smallint},
		{"whole", sluice.Int}, {"big", sluice.Bigint}, {"single", sluice.Float}, {"twice", sluice.Double},
		{"flag", sluice.Boolean}, {"time", sluice.Timestamp}, {"day", sluice.Date}, {"raw", sluice.Blob},
		{"note", sluice.Text}, {"sent", sluice.Timestamp},
	}
	word := []sluice.Column{{"plain", sluice.Text}, {"weight", sluice.Float}}
	sluice.Export(sluice.Plugin{
		Name:    "probe",
		Version: "0.1.0",
		Fields: []sluice.Field{
			id:     {Name: "id", Kind: sluice.Text},
			do:     {Name: "do", Kind: sluice.Text},
			number: {Name: "number", Kind: sluice.Bigint, Optional: true},
			real:   {Name: "real", Kind: sluice.Double},
			flag:   {Name: "flag", Kind: sluice.Boolean},
			when:   {Name: "when", Kind: sluice.Timestamp},
			day:    {Name: "day", Kind: sluice.Date},
		},
		Lookups: []sluice.Lookup{words: {"words", sluice.Column{"word", sluice.Text}, word}},
		Targets: []sluice.Target{
			things: {Table: "things", Columns: thing},
			gone:   {Table: "things", Delete: true, Columns: thing[:2]},
		},
		Codes:     []string{odd: "odd", unwanted: "unwanted"},
		Wants:     sluice.Values | sluice.Keys | sluice.Timestamps | sluice.Positions | sluice.Headers,
		Configure: configure,
		Transform: transform,
	})
}

func configure(config []byte, _ *sluice.Plugin) error {
	if string(config) != `{"after":"!"}` {
		return errors.New("another configuration")
	}
	return nil
}

func transform(batch *sluice.Batch, out *sluice.Outcome) {
	ids := batch.Fields[id]
	var wanted []sluice.Cell
	for message := range batch.Count {
		wanted = append(wanted, sluice.Cell("<"+ids.At(message).Text()+">"))
	}
	found := sluice.Pack(wanted).Find(words)
	for message := range batch.Count {
		todo := batch.Fields[do].At(message).Text()
		if todo == "panic" {
			panic("asked to panic")
		}
		if key := batch.Keys.At(message); key != nil {
			sluice.Info(fmt.Sprintf("a key of %d bytes", len(key)))
		}
		switch todo {
		case "filter":
			out.Filter(message, unwanted)
		case "delete":
			out.Row(gone, message, ids, batch.ID(message, 0))
		case "twice":
			store(batch, out, message, 1, found)
			fallthrough
		default:
			store(batch, out, message, 0, found)
		}
		if todo == "reject" {
			out.Reject(message, odd, fmt.Sprintf("%d is odd", batch.Fields[number].At(message).Int()))
		}
	}
}

func store(batch *sluice.Batch, out *sluice.Outcome, message, row int, found *sluice.Cells) {
	cell := func(field int) sluice.Cell { return batch.Fields[field].At(message) }
	var tiny, small, whole, big, sent any
	if number := cell(number); number != nil {
		it := number.Int()
		tiny, small, whole, big = it, 100*it, 100_000*it, 10_000_000_000*it
	}
	single, note := 0.1, batch.Headers.At(message).Header("trace")
	if weight := found.At(message).Column(1); weight != nil {
		single = 2 * weight.Float()
	}
	if note == nil {
		note = batch.Keys.At(message)
	}
	if note == nil {
		note = found.At(message).Column(0)
	}
	if time := batch.Timestamps[message]; time != -1 {
		sent = time
	}
	out.Row(things, message, batch.Fields[id], batch.ID(message, row), tiny, small, whole, big, single,
		2*cell(real).Float(), !cell(flag).Boolean(), cell(when).Int()+1, cell(day).Date()+1, batch.Values, note, sent)
}

func main() {}
