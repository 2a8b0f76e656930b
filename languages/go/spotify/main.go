// Plays of songs, joined with what is known of the songs: one row a play, by person and time.
package main

import "sluice"

// Fields, lookups and tables, in the order of their declarations.
const (
	name = iota
	song
	timestamp
)
const songs = 0
const records = 0

// What is known of a song.
var features = []sluice.Column{
	{"artists", sluice.Text},
	{"duration_ms", sluice.Text},
	{"album_name", sluice.Text},
	{"album_release_date", sluice.Date},
	{"danceability", sluice.Float},
	{"energy", sluice.Float},
	{"key", sluice.Tinyint},
	{"loudness", sluice.Float},
	{"mode", sluice.Tinyint},
	{"speechiness", sluice.Float},
	{"acousticness", sluice.Float},
	{"instrumentalness", sluice.Float},
	{"liveness", sluice.Float},
	{"valence", sluice.Float},
	{"tempo", sluice.Float},
}

func init() {
	play := []sluice.Column{{"name", sluice.Text}, {"timestamp", sluice.Timestamp}, {"song", sluice.Text}}
	sluice.Export(sluice.Plugin{
		Name:    "spotify",
		Version: "0.1.0",
		Fields: []sluice.Field{
			name:      {Name: "name", Kind: sluice.Text},
			song:      {Name: "song", Kind: sluice.Text},
			timestamp: {Name: "timestamp", Kind: sluice.Timestamp},
		},
		Lookups:   []sluice.Lookup{songs: {"songs", sluice.Column{"name", sluice.Text}, features}},
		Targets:   []sluice.Target{records: {Table: "records", Columns: append(play, features...)}},
		Transform: transform,
	})
}

func transform(batch *sluice.Batch, out *sluice.Outcome) {
	names, times, plays := batch.Fields[name], batch.Fields[timestamp], batch.Fields[song]
	found := plays.Find(songs)
	for message := range batch.Count {
		// A play of an unknown song is a play all the same: its features are null.
		out.Row(records, message, names, times, plays, found)
	}
}

func main() {}
