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
		{"note", sluice.Text},
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
	var cells [day + 1]*sluice.Cells
	for field := range cells {
		cells[field] = batch.Field(field)
	}
	values, keys, headers := batch.Values(), batch.Keys(), batch.Headers()
	var wanted []sluice.Cell
	for message := range batch.Count {
		wanted = append(wanted, sluice.Cell("<"+cells[id].At(message).Text()+">"))
	}
	found := sluice.Pack(wanted).Find(words)
	for message := range batch.Count {
		todo := cells[do].At(message).Text()
		if todo == "panic" {
			panic("asked to panic")
		}
		if key := keys.At(message); key != nil {
			sluice.Info(fmt.Sprintf("a key of %d bytes at %d", len(key), batch.Timestamps[message]))
		}
		cells[id].At(0)
		id, number := cells[id].At(message), cells[number].At(message)
		uuid := batch.ID(message, 0)
		switch todo {
		case "filter":
			out.Filter(message, unwanted)
		case "delete":
			out.Row(gone, message).Cell(id).Cell(uuid[:])
		case "twice":
			store(cells, message, out.Row(things, message).Cell(id).Cell(uuid[:]), found.At(message), values, headers)
			uuid = batch.ID(message, 1)
			fallthrough
		default:
			store(cells, message, out.Row(things, message).Cell(id).Cell(uuid[:]), found.At(message), values, headers)
		}
		if todo == "reject" {
			out.Reject(message, odd, fmt.Sprintf("%d is odd", number.Int()))
		}
	}
}

func store(cells [day + 1]*sluice.Cells, message int, row *sluice.Row, found sluice.Cell, values, headers *sluice.Cells) {
	if number := cells[number].At(message); number == nil {
		row.Null().Null().Null().Null()
	} else {
		whole := number.Int()
		row.Int(whole).Int(100 * whole).Int(100_000 * whole).Int(10_000_000_000 * whole)
	}
	if weight := found.Column(1); weight == nil {
		row.Float(0.1)
	} else {
		row.Float(2 * weight.Float())
	}
	row.Float(2 * cells[real].At(message).Float())
	row.Boolean(!cells[flag].At(message).Boolean())
	row.Int(cells[when].At(message).Int() + 1)
	row.Int(cells[day].At(message).Date() + 1)
	row.Cell(values.At(message))
	if trace := headers.At(message).Header("trace"); trace != nil {
		row.Cell(trace)
	} else {
		row.Cell(found.Column(0))
	}
}

func main() {}
