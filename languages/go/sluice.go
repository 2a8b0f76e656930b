// Package sluice is the Go SDK for Sluice plugins: stock Go, with no dependency. A plugin calls Export from
// an init function. Cells arrive encoded as the database wants them and leave the same way: what is only
// passed on is never decoded.
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

// Batch is a batch of messages; what Wants does not name is empty. Nothing of it outlives the call.
type Batch struct {
	Topic      string
	Count      int
	Fields     []*Cells
	Values     *Cells // the messages as they came; null is a tombstone
	Keys       *Cells
	Headers    *Cells  // see Cell.Header
	Timestamps []int64 // milliseconds since 1970; -1 = none
	Partitions []int32
	Offsets    []int64
}

// ID makes an id for a row of where its message stands (it takes Positions): a replay makes the same
// one. The row tells the rows of one message apart.
func (b *Batch) ID(message, row int) Cell {
	name := []byte("\x67\xff\xd6\x16\x62\x34\x5b\x16\xaf\x12\xc8\x1c\xbe\x97\x85\x6e" + b.Topic)
	for _, number := range []int64{int64(b.Partitions[message]), b.Offsets[message], int64(row)} {
		name = strconv.AppendInt(append(name, '/'), number, 10)
	}
	id := sha1.Sum(name)
	id[6], id[8] = id[6]&0x0f|0x50, id[8]&0x3f|0x80
	return id[:16]
}

// Cells are a cell for each message; of a lookup, all that it knows.
type Cells struct {
	bytes   []byte
	lengths []int32
	starts  []int32
	columns int
}

func (c *Cells) read(from packed) {
	c.bytes, c.lengths, c.starts = slice[byte](from.bytes), slice[int32](from.lengths), c.starts[:0]
	start := int32(0)
	for _, length := range c.lengths {
		c.starts = append(c.starts, start)
		start += max(length, 0)
	}
}

// At is the cell of a message.
func (c *Cells) At(message int) Cell {
	start, length := c.starts[message], c.lengths[message]
	if length < 0 {
		return nil
	}
	return Cell(c.bytes[start : start+length])
}

// Find looks up keys, one for each message, all at once: the cells of a field, or what Pack makes.
func (c *Cells) Find(lookup int) *Cells {
	found, cells := packed{}, &Cells{columns: len(plugin.Lookups[lookup].Columns)}
	find(uint32(lookup), unsafe.SliceData(c.bytes), uint32(len(c.bytes)),
		unsafe.SliceData(c.lengths), uint32(len(c.lengths)), unsafe.Pointer(&found))
	cells.read(found)
	return cells
}

// Pack makes cells of keys to look up that are no field.
func Pack(keys []Cell) *Cells {
	cells := new(Cells)
	for _, key := range keys {
		length := int32(len(key))
		if key == nil {
			length = -1
		}
		cells.starts = append(cells.starts, int32(len(cells.bytes)))
		cells.lengths = append(cells.lengths, length)
		cells.bytes = append(cells.bytes, key...)
	}
	return cells
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
func (c Cell) Date() int64 { return int64(int32(c.Int()) ^ math.MinInt32) }

// Float is a float or a double.
func (c Cell) Float() float64 {
	if len(c) == 4 {
		return float64(math.Float32frombits(uint32(c.Int())))
	}
	return math.Float64frombits(uint64(c.Int()))
}

// Column is the cell of a column, of what a lookup found; nil if it found nothing.
func (c Cell) Column(index int) (cell Cell) {
	for ; c != nil && index >= 0; index-- {
		cell, c = c.split()
	}
	return cell
}

// Header is the value of a message's first header of a name, of its cell of Batch.Headers.
func (c Cell) Header(name string) Cell {
	rest := c[2:]
	for range binary.BigEndian.Uint16(c) {
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
	targets            []rows
	rejected, filtered words
}

// Unset leaves a column as it is. Then two messages of one key may mix in a row: know why.
var Unset unset

type unset struct{}

// Row writes a row of a target: values for all its columns, in their order. A value is one of Cells, which
// stands for its cell of the message, and of a lookup for all its columns, null where the key is unknown; or
// a Cell; or a string, bool, int, int64 or float64 that fits the column's type; or nil for null; or Unset.
func (o *Outcome) Row(target, message int, values ...any) {
	rows := &o.targets[target]
	start, column := len(rows.cells), 0
	rows.cells = binary.BigEndian.AppendUint16(rows.cells, uint16(len(rows.columns)))
	for _, value := range values {
		if column >= len(rows.columns) {
			panic("a row has more values than its target columns")
		}
		column += rows.put(rows.columns[column].Kind, message, value)
	}
	if column < len(rows.columns) {
		panic("a row has fewer values than its target columns")
	}
	rows.lengths = append(rows.lengths, uint32(len(rows.cells)-start))
	rows.sources = append(rows.sources, uint32(message))
}

// Reject refuses a message that cannot be used, by a code's index and with a reason for a person. It takes
// back the message's rows.
func (o *Outcome) Reject(message, code int, reason string) {
	o.takeBack(uint32(message))
	o.rejected = append(o.rejected, uint32(message), uint32(code)).text(reason)
}

// Filter leaves a message out on purpose. It takes back the message's rows.
func (o *Outcome) Filter(message, code int) {
	o.takeBack(uint32(message))
	o.filtered = append(o.filtered, uint32(message), uint32(code))
}

func (o *Outcome) takeBack(message uint32) {
	for i := range o.targets {
		rows := &o.targets[i]
		last := len(rows.sources) - 1
		for ; last >= 0 && rows.sources[last] == message; last-- {
			rows.cells = rows.cells[:len(rows.cells)-int(rows.lengths[last])]
		}
		rows.sources, rows.lengths = rows.sources[:last+1], rows.lengths[:last+1]
	}
}

type rows struct {
	columns          []Column
	cells            []byte
	lengths, sources words
}

// The sizes of encoded numbers, in bytes.
var (
	booleans = [Duration + 1]int{Boolean: 1}
	integers = [Duration + 1]int{Tinyint: 1, Smallint: 2, Int: 4, Date: 4, Bigint: 8, Timestamp: 8, Time: 8}
	floats   = [Duration + 1]int{Float: 4, Double: 8}
)

// put writes a value, and tells for how many columns it is.
func (r *rows) put(kind Kind, message int, value any) int {
	switch value := value.(type) {
	case *Cells:
		if cell := value.At(message); value.columns == 0 {
			r.cell(cell)
		} else if r.cells = append(r.cells, cell...); cell == nil {
			for range value.columns {
				r.length(-1)
			}
		}
		return max(value.columns, 1)
	case Cell:
		r.cell(value)
	case string:
		if kind > Blob {
			panic(misfit)
		}
		r.length(len(value))
		r.cells = append(r.cells, value...)
	case bool:
		bit := uint64(0)
		if value {
			bit = 1
		}
		r.number(booleans[kind], bit)
	case int:
		r.integer(kind, int64(value))
	case int64:
		r.integer(kind, value)
	case float64:
		r.float(kind, value)
	case nil:
		r.length(-1)
	case unset:
		r.length(-2)
	default:
		panic("a value of a type that no column takes")
	}
	return 1
}

func (r *rows) length(length int) { r.cells = binary.BigEndian.AppendUint32(r.cells, uint32(length)) }

func (r *rows) cell(cell Cell) {
	if cell == nil {
		r.length(-1)
		return
	}
	r.length(len(cell))
	r.cells = append(r.cells, cell...)
}

func (r *rows) integer(kind Kind, value int64) {
	if floats[kind] > 0 {
		r.float(kind, float64(value)) // a constant without a point is an int
		return
	}
	if spare := 64 - 8*integers[kind]; value<<spare>>spare != value {
		panic(misfit)
	}
	if kind == Date {
		value ^= math.MinInt32
	}
	r.number(integers[kind], uint64(value))
}

func (r *rows) float(kind Kind, value float64) {
	bits := math.Float64bits(value)
	if kind == Float {
		bits = uint64(math.Float32bits(float32(value)))
	}
	r.number(floats[kind], bits)
}

func (r *rows) number(size int, bits uint64) {
	if size == 0 {
		panic(misfit)
	}
	r.length(size)
	for size--; size >= 0; size-- {
		r.cells = append(r.cells, byte(bits>>(8*size)))
	}
}

const misfit = "a value does not fit its column's type"

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
	frame, more := frames.Next()
	for more && (strings.HasPrefix(frame.Function, "runtime.") || strings.Contains(frame.Function, "sluice.")) {
		frame, more = frames.Next()
	}
	Error(line + " at " + frame.File + ":" + strconv.Itoa(frame.Line))
	exit(2)
}

//go:wasmimport sluice:plugin/log@0.1.0 write
func write(level uint32, at *byte, size uint32)

//go:wasmimport sluice:plugin/lookup@0.1.0 find
func find(lookup uint32, bytes *byte, size uint32, lengths *int32, count uint32, found unsafe.Pointer)

//go:wasmimport wasi_snapshot_preview1 proc_exit
func exit(code uint32)

// ---- The canonical ABI: how the host calls ------------------------------------------------------

// The host's pointers are numbers, which the collector does not see. It moves nothing, so it is enough
// that all that is handed over, either way, is also held here.
var (
	plugin Plugin
	batch  Batch
	out    Outcome
	held   []unsafe.Pointer
	blocks [][]uint64
	room   []uint64
)

// words are records on their way out: of lists and texts the address and how many elements they have.
type words []uint32

func (w words) list(at unsafe.Pointer, size int) words {
	held = append(held, at)
	return append(w, uint32(uintptr(at)), uint32(size))
}

func (w words) text(it string) words { return w.list(unsafe.Pointer(unsafe.StringData(it)), len(it)) }

func (w words) records(it words, width int) words {
	return w.list(unsafe.Pointer(unsafe.SliceData(it)), len(it)/width)
}

func (w words) columns(of []Column) words {
	var columns words
	for _, it := range of {
		columns = append(columns.text(it.Name), uint32(it.Kind))
	}
	return w.records(columns, 3)
}

func (w words) address() uint32 { return words{}.records(w, 1)[0] }

// What comes in, as the host has laid it out.
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

func slice[T any](l list) []T { return unsafe.Slice((*T)(unsafe.Pointer(uintptr(l.at))), l.size) }

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
	if err != nil {
		return words{1}.text(err.Error()).address()
	}
	var fields, lookups, targets, codes words
	for _, it := range plugin.Fields {
		kind := uint32(it.Kind)
		if it.Optional {
			kind |= 1 << 8
		}
		fields = append(fields.text(it.Name), kind)
		batch.Fields = append(batch.Fields, new(Cells))
	}
	for _, it := range plugin.Lookups {
		lookups = append(lookups.text(it.Name).text(it.Key.Name), uint32(it.Key.Kind)).columns(it.Columns)
	}
	for _, it := range plugin.Targets {
		operation := uint32(0)
		if it.Delete {
			operation = 1
		}
		targets = append(targets.text(it.Table), operation).columns(it.Columns)
		out.targets = append(out.targets, rows{columns: it.Columns})
	}
	for _, it := range plugin.Codes {
		codes = codes.text(it)
	}
	batch.Values, batch.Keys, batch.Headers = new(Cells), new(Cells), new(Cells)
	description := words{0}.text(plugin.Name).text(plugin.Version).records(fields, 3).records(lookups, 7).
		records(targets, 5).records(codes, 2)
	return append(description, uint32(plugin.Wants)).address()
}

//go:wasmexport transform
func exportTransform(at unsafe.Pointer) uint32 {
	defer trapOnPanic()
	from := (*messages)(at)
	if topic := slice[byte](from.topic); batch.Topic != string(topic) {
		batch.Topic = string(topic)
	}
	batch.Count = int(from.count)
	for i, cells := range slice[packed](from.fields) {
		batch.Fields[i].read(cells)
	}
	batch.Values.read(from.values)
	batch.Keys.read(from.keys)
	batch.Headers.read(from.headers)
	batch.Timestamps, batch.Offsets = slice[int64](from.timestamps), slice[int64](from.offsets)
	batch.Partitions = slice[int32](from.partitions)
	plugin.Transform(&batch, &out)
	var groups words
	for i := range out.targets {
		rows := &out.targets[i]
		cells := unsafe.Pointer(unsafe.SliceData(rows.cells))
		groups = append(groups, uint32(i)).list(cells, len(rows.cells)).records(rows.lengths, 1).records(rows.sources, 1)
		// The host reads them before the next call, which writes over them.
		rows.cells, rows.lengths, rows.sources = rows.cells[:0], rows.lengths[:0], rows.sources[:0]
	}
	outcome := words{}.records(groups, 7).records(out.rejected, 4).records(out.filtered, 2)
	out.rejected, out.filtered = out.rejected[:0], out.filtered[:0]
	return outcome.address()
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
