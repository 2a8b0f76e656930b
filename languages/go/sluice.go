// Package sluice is the Go SDK for Sluice plugins.
//
// A plugin calls Export from an init function. Cells arrive encoded as the database wants them and leave
// the same way: what is only passed on is never decoded. It is stock Go, with no dependency:
//
//	GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared
package sluice

import (
	"crypto/sha1"
	"encoding/binary"
	"errors"
	"math"
	"runtime"
	"strconv"
	"strings"
	"unsafe"
)

// ---- What a plugin is ---------------------------------------------------------------------------

// Kind is the type of a cell.
type Kind uint8

const (
	ASCII Kind = iota
	Text
	Blob
	Boolean
	Tinyint
	Smallint
	Int
	Bigint
	Float
	Double
	Timestamp // milliseconds since 1970
	Date      // days since 1970
	Time
	UUID
	TimeUUID
	Inet
	Decimal
	Varint
	Duration
)

// Wants says what a plugin sees of messages beside their fields: Keys | Headers, for instance.
type Wants uint8

const (
	Values Wants = 1 << iota
	Keys
	Timestamps
	Positions
	Headers
)

// Column is a named cell.
type Column struct {
	Name string
	Kind Kind
}

// Field is what the host decodes from each message; dots in its name lead into nested objects.
type Field struct {
	Name     string
	Kind     Kind
	Optional bool
}

// Lookup is reference data: columns that are found by a key, which is compared exactly.
type Lookup struct {
	Name    string
	Key     Column
	Columns []Column
}

// Target is a table. If rows are deleted, its columns are those of the primary key.
type Target struct {
	Table   string
	Delete  bool
	Columns []Column
}

// Plugin is what a plugin is. Fields, lookups, targets and codes are named by their indices.
type Plugin struct {
	Name, Version string
	Fields        []Field
	Lookups       []Lookup
	Targets       []Target
	Codes         []string // why it rejects or filters messages
	Wants         Wants
	// Configure reads the pipeline's [plugin.config], a JSON object, and may change the plugin. Its
	// error refuses the configuration. Without it none is taken.
	Configure func(config []byte, plugin *Plugin) error
	// Transform gives each message of a batch rows, or rejects it, or filters it.
	Transform func(batch *Batch, out *Outcome)
}

// ---- What comes in ------------------------------------------------------------------------------

// Batch is a batch of messages. What is neither a field nor wanted is empty. Nothing of it outlives the
// call of Transform.
type Batch struct {
	Topic      string
	Count      int
	Timestamps []int64 // milliseconds since 1970; -1 = none
	Partitions []int32
	Offsets    []int64
	fields     []packed
	more       [3]packed
}

// Field gives the cells of a declared field.
func (b *Batch) Field(index int) *Cells { return read(b.fields[index]) }

// Values gives the messages as they came; null is a tombstone.
func (b *Batch) Values() *Cells { return read(b.more[0]) }

// Keys gives the messages' keys.
func (b *Batch) Keys() *Cells { return read(b.more[1]) }

// Headers gives the messages' headers: see Cell.Header.
func (b *Batch) Headers() *Cells { return read(b.more[2]) }

// ID makes an id for a row of where its message stands (it takes Positions): a replay makes the same
// one. The row tells the rows of one message apart.
func (b *Batch) ID(message, row int) (id [16]byte) {
	name := []byte("\x67\xff\xd6\x16\x62\x34\x5b\x16\xaf\x12\xc8\x1c\xbe\x97\x85\x6e" + b.Topic)
	for _, number := range []int64{int64(b.Partitions[message]), b.Offsets[message], int64(row)} {
		name = strconv.AppendInt(append(name, '/'), number, 10)
	}
	sum := sha1.Sum(name)
	copy(id[:], sum[:])
	id[6], id[8] = id[6]&0x0f|0x50, id[8]&0x3f|0x80
	return id
}

// Cells are a cell for each message. Those of a lookup are its columns in one, for Row.All.
type Cells struct {
	packed
	columns, next int
	rest          []byte
}

func read(from packed) *Cells { return &Cells{packed: from, columns: 1, rest: slice[byte](from.bytes)} }

// Find looks up keys, one for each message, all at once: the cells of a field, or what Pack makes.
func (keys *Cells) Find(lookup int) *Cells {
	var found packed
	find(uint32(lookup), keys.bytes.at, keys.bytes.size, keys.lengths.at, keys.lengths.size, unsafe.Pointer(&found))
	cells := read(found)
	cells.columns = len(plugin.Lookups[lookup].Columns)
	return cells
}

// Pack makes cells of keys to look up that are no field.
func Pack(keys []Cell) *Cells {
	lengths := make([]int32, len(keys))
	var bytes []byte
	for i, key := range keys {
		bytes = append(bytes, key...)
		if lengths[i] = int32(len(key)); key == nil {
			lengths[i] = -1
		}
	}
	return read(packed{give(bytes), give(lengths)})
}

// At gives the cell of a message. The order of messages is the fastest.
func (c *Cells) At(message int) Cell {
	if message < c.next {
		c.next, c.rest = 0, slice[byte](c.bytes)
	}
	for lengths := slice[int32](c.lengths); ; {
		length := lengths[c.next]
		var cell Cell
		if length >= 0 {
			cell, c.rest = Cell(c.rest[:length]), c.rest[length:]
		}
		if c.next++; c.next > message {
			return cell
		}
	}
}

// Cell is an encoded value; nil is null. Its methods panic if it is not of their type.
type Cell []byte

// Text is a text; it outlives the call.
func (c Cell) Text() string { return string(c) }

// Boolean is a boolean.
func (c Cell) Boolean() bool { return c.Int() != 0 }

// Int is a tinyint, smallint, int, bigint or time, or a timestamp's milliseconds since 1970.
func (c Cell) Int() int64 {
	if len(c) == 0 || len(c) > 8 {
		panic("a cell is null, or not of the type that it is read as")
	}
	value := int64(int8(c[0]))
	for _, b := range c[1:] {
		value = value<<8 | int64(b)
	}
	return value
}

// Date is a date: days since 1970.
func (c Cell) Date() int64 { return c.Int() - math.MinInt32 }

// Float is a float or a double.
func (c Cell) Float() float64 {
	if len(c) == 4 {
		return float64(math.Float32frombits(uint32(c.Int())))
	}
	return math.Float64frombits(uint64(c.Int()))
}

// Column is the cell of a column, of what a lookup found; nil if it found nothing.
func (c Cell) Column(index int) Cell {
	for ; c != nil && index > 0; index-- {
		_, c = c.split()
	}
	if c != nil {
		c, _ = c.split()
	}
	return c
}

// Header is the value of a message's first header of a name, of its cell of Batch.Headers.
func (c Cell) Header(name string) Cell {
	rest := c[2:]
	for count := binary.BigEndian.Uint16(c); count > 0; count-- {
		var key, value Cell
		key, rest = rest.split()
		value, rest = rest.split()
		if string(key) == name {
			return value
		}
	}
	return nil
}

func (c Cell) split() (Cell, Cell) {
	length := int32(binary.BigEndian.Uint32(c))
	if length < 0 {
		return nil, c[4:]
	}
	return c[4 : 4+length], c[4+length:]
}

// ---- What goes out ------------------------------------------------------------------------------

// Outcome is what becomes of a batch. Every message gets rows, or is rejected, or is filtered.
type Outcome struct {
	rows     []Row
	rejected []rejection
	filtered []filtered
}

// Row takes the cells of a row in the order of the target's columns, all of them.
type Row struct {
	columns []Column
	cells   []byte
	lengths []int32
	sources []uint32
	start   int
	count   int
}

// Row begins a row of a target for a message.
func (o *Outcome) Row(target, message int) *Row {
	row := &o.rows[target]
	row.end()
	row.start, row.count = len(row.cells), 0
	row.cells = append(row.cells, 0, 0)
	row.sources = append(row.sources, uint32(message))
	return row
}

func (r *Row) end() {
	if len(r.lengths) < len(r.sources) {
		binary.BigEndian.PutUint16(r.cells[r.start:], uint16(r.count))
		r.lengths = append(r.lengths, int32(len(r.cells)-r.start))
	}
}

func (r *Row) length(length int) *Row {
	r.cells = binary.BigEndian.AppendUint32(r.cells, uint32(length))
	r.count++
	return r
}

// Null writes null.
func (r *Row) Null() *Row { return r.length(-1) }

// Unset leaves the column as it is. Then two messages of one key may mix in a row: know why.
func (r *Row) Unset() *Row { return r.length(-2) }

// Cell writes a cell as it is: one of a message, or what is a blob's, a UUID's and so on.
func (r *Row) Cell(cell Cell) *Row {
	if cell == nil {
		return r.Null()
	}
	r.length(len(cell))
	r.cells = append(r.cells, cell...)
	return r
}

// All writes what a lookup found for a message: its columns, null where the key is unknown.
func (r *Row) All(found *Cells, message int) *Row {
	if cells := found.At(message); cells != nil {
		r.cells = append(r.cells, cells...)
		r.count += found.columns
		return r
	}
	for range found.columns {
		r.Null()
	}
	return r
}

// Text writes a text.
func (r *Row) Text(value string) *Row {
	r.length(len(value))
	r.cells = append(r.cells, value...)
	return r
}

// Boolean writes a boolean.
func (r *Row) Boolean(value bool) *Row {
	if value {
		return r.Int(1)
	}
	return r.Int(0)
}

// Int writes a number in its column's size. A timestamp is milliseconds and a date days since 1970.
func (r *Row) Int(value int64) *Row {
	size := 8
	switch r.columns[r.count].Kind {
	case Boolean, Tinyint:
		size = 1
	case Smallint:
		size = 2
	case Date:
		size, value = 4, value^math.MinInt32
	case Int, Float:
		size = 4
	}
	r.length(size)
	for size--; size >= 0; size-- {
		r.cells = append(r.cells, byte(value>>(8*size)))
	}
	return r
}

// Float writes a float or a double, as its column is.
func (r *Row) Float(value float64) *Row {
	if r.columns[r.count].Kind == Float {
		return r.Int(int64(math.Float32bits(float32(value))))
	}
	return r.Int(int64(math.Float64bits(value)))
}

// Reject refuses a message that cannot be used, by a code's index and with a reason for a person.
func (o *Outcome) Reject(message, code int, reason string) {
	o.takeBack(message)
	o.rejected = append(o.rejected, rejection{uint32(message), uint32(code), text(reason)})
}

// Filter leaves a message out on purpose.
func (o *Outcome) Filter(message, code int) {
	o.takeBack(message)
	o.filtered = append(o.filtered, filtered{uint32(message), uint32(code)})
}

// takeBack drops the rows that a message had so far.
func (o *Outcome) takeBack(message int) {
	for i := range o.rows {
		row := &o.rows[i]
		row.end()
		last := len(row.sources) - 1
		for ; last >= 0 && row.sources[last] == uint32(message); last-- {
			row.cells = row.cells[:len(row.cells)-int(row.lengths[last])]
		}
		row.sources, row.lengths = row.sources[:last+1], row.lengths[:last+1]
	}
}

// ---- The log ------------------------------------------------------------------------------------

// Debug, Info, Warn and Error write a line into the host's log.
func Debug(line string) { write(1, unsafe.StringData(line), uint32(len(line))) }
func Info(line string)  { write(2, unsafe.StringData(line), uint32(len(line))) }
func Warn(line string)  { write(3, unsafe.StringData(line), uint32(len(line))) }
func Error(line string) { write(4, unsafe.StringData(line), uint32(len(line))) }

// A panic becomes a line that says where, and ends the call; the host finds the message it is due to.
func trapOnPanic() {
	value := recover()
	if value == nil {
		return
	}
	line := "panic"
	switch value := value.(type) {
	case error:
		line += ": " + value.Error()
	case string:
		line += ": " + value
	}
	callers := make([]uintptr, 32)
	frames := runtime.CallersFrames(callers[:runtime.Callers(3, callers)])
	for frame, more := frames.Next(); more; frame, more = frames.Next() {
		if !strings.HasPrefix(frame.Function, "runtime.") && !strings.Contains(frame.Function, "sluice.") {
			line += " at " + frame.File + ":" + strconv.Itoa(frame.Line)
			break
		}
	}
	Error(line)
	exit(2)
}

//go:wasmimport sluice:plugin/log@0.1.0 write
func write(level uint32, at *byte, size uint32)

//go:wasmimport sluice:plugin/lookup@0.1.0 find
func find(lookup, bytes, size, lengths, count uint32, found unsafe.Pointer)

//go:wasmimport wasi_snapshot_preview1 proc_exit
func exit(code uint32)

// ---- The canonical ABI: how the host calls ------------------------------------------------------

// The host's pointers are numbers, which the collector does not see. It moves nothing, so it is enough
// that all that is handed over, either way, is also held here.
var (
	plugin Plugin
	batch  Batch
	out    Outcome
	held   []any
	blocks [][]uint64
	room   []uint64
)

type list struct{ at, size uint32 }
type packed struct{ bytes, lengths list }
type messages struct {
	topic                           list
	count                           uint32
	fields                          list
	values, keys                    packed
	timestamps, partitions, offsets list
	headers                         packed
}
type rejection struct {
	message, code uint32
	reason        list
}
type filtered struct{ message, code uint32 }
type rows struct {
	target                  uint32
	cells, lengths, sources list
}

func slice[T any](l list) []T { return unsafe.Slice((*T)(unsafe.Pointer(uintptr(l.at))), l.size) }

func give[T any](values []T) list {
	held = append(held, values)
	return list{uint32(uintptr(unsafe.Pointer(unsafe.SliceData(values)))), uint32(len(values))}
}

func text(value string) list { return give(unsafe.Slice(unsafe.StringData(value), len(value))) }

func each[F, T any](from []F, to func(F) T) list {
	all := make([]T, len(from))
	for i, it := range from {
		all[i] = to(it)
	}
	return give(all)
}

// Export makes a plugin that of this module. Call it from an init function.
func Export(p Plugin) { plugin = p }

//go:wasmexport cabi_realloc
func cabiRealloc(old unsafe.Pointer, had, align, size uint32) unsafe.Pointer {
	words := int(size+7)/8 + 1
	if words > len(room) {
		// The next batch will find room for all of it in one block.
		room = make([]uint64, 2*(words+cap(room)))
		blocks = append(blocks, room)
	}
	block := unsafe.Pointer(unsafe.SliceData(room))
	room = room[words:]
	copy(unsafe.Slice((*byte)(block), size), unsafe.Slice((*byte)(old), had))
	return block
}

//go:wasmexport init
func exportInit(at, size uint32) uint32 {
	defer trapOnPanic()
	config := slice[byte](list{at, size})
	var err error
	if plugin.Configure != nil {
		err = plugin.Configure(config, &plugin)
	} else if strings.Trim(string(config), "{} \t\r\n") != "" {
		err = errors.New("this plugin takes no configuration")
	}
	type column struct {
		name list
		kind uint32
	}
	type described struct {
		failed                                         uint32
		name, version, fields, lookups, targets, codes list
		wants                                          uint32
	}
	if err != nil {
		return give([]described{{failed: 1, name: text(err.Error())}}).at
	}
	columnOf := func(it Column) column { return column{text(it.Name), uint32(it.Kind)} }
	fields := each(plugin.Fields, func(it Field) column {
		kind := uint32(it.Kind)
		if it.Optional {
			kind |= 1 << 8
		}
		return column{text(it.Name), kind}
	})
	type lookup struct {
		name    list
		key     column
		columns list
	}
	lookups := each(plugin.Lookups, func(it Lookup) lookup {
		return lookup{text(it.Name), columnOf(it.Key), each(it.Columns, columnOf)}
	})
	type target struct {
		table     list
		operation uint32
		columns   list
	}
	targets := each(plugin.Targets, func(it Target) target {
		to := target{text(it.Table), 0, each(it.Columns, columnOf)}
		if it.Delete {
			to.operation = 1
		}
		out.rows = append(out.rows, Row{columns: it.Columns})
		return to
	})
	return give([]described{{0, text(plugin.Name), text(plugin.Version), fields, lookups, targets,
		each(plugin.Codes, text), uint32(plugin.Wants)}}).at
}

//go:wasmexport transform
func exportTransform(at unsafe.Pointer) uint32 {
	defer trapOnPanic()
	from := (*messages)(at)
	if topic := slice[byte](from.topic); batch.Topic != string(topic) {
		batch.Topic = string(topic)
	}
	batch.Count, batch.fields = int(from.count), slice[packed](from.fields)
	batch.more = [3]packed{from.values, from.keys, from.headers}
	batch.Timestamps, batch.Offsets = slice[int64](from.timestamps), slice[int64](from.offsets)
	batch.Partitions = slice[int32](from.partitions)
	// The answer before was read: its memory is this one's.
	out.rejected, out.filtered = out.rejected[:0], out.filtered[:0]
	for i := range out.rows {
		row := &out.rows[i]
		row.cells, row.lengths, row.sources = row.cells[:0], row.lengths[:0], row.sources[:0]
	}
	plugin.Transform(&batch, &out)
	groups := make([]rows, len(out.rows))
	for i := range out.rows {
		row := &out.rows[i]
		row.end()
		groups[i] = rows{uint32(i), give(row.cells), give(row.lengths), give(row.sources)}
	}
	return give([]list{give(groups), give(out.rejected), give(out.filtered)}).at
}

//go:wasmexport cabi_post_init
func postInit(uint32) { release() }

//go:wasmexport cabi_post_transform
func postTransform(uint32) { release() }

func release() {
	clear(held)
	held, room = held[:0], blocks[len(blocks)-1]
	blocks = append(blocks[:0], room)
}
