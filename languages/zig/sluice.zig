//! The Zig SDK for Sluice plugins.
//!
//! A plugin is a file with a `pub const description` and a `pub fn transform`, and with
//! `pub const panic = sluice.panic;` and `pub const std_options = sluice.std_options;`, which lead panics
//! and `std.log` to the host's log. Names of fields, tables, lookups and codes are checked when it is
//! compiled. Cells arrive encoded as the database wants them and leave the same way: what is only passed
//! on is never decoded.
const std = @import("std");
const plugin = @import("root");
const description: Description = plugin.description;

// ---- What a plugin is ---------------------------------------------------------------------------
pub const Kind = enum(u8) {
    // zig fmt: off
    ascii, text, blob, boolean, tinyint, smallint, int, bigint, float, double, timestamp, date, time,
    uuid, timeuuid, inet, decimal, varint, duration,
    // zig fmt: on

    /// A value: a `timestamp` is the milliseconds since 1970, a `date` the days since then; what has no
    /// number is its encoding.
    fn Value(comptime kind: Kind) type {
        return switch (kind) {
            .boolean => bool,
            .tinyint => i8,
            .smallint => i16,
            .int, .date => i32,
            .bigint, .timestamp, .time => i64,
            .float => f32,
            .double => f64,
            else => []const u8,
        };
    }
};
pub const Column = struct { []const u8, Kind };
/// What the host decodes from each message; dots in its name lead into nested objects.
pub const Field = struct { name: []const u8, kind: Kind, optional: bool = false };
/// Reference data: `columns` are found by the key, which is compared exactly.
pub const Lookup = struct { name: []const u8, key: Column, columns: []const Column };
/// A table to write into; where rows are deleted, its columns are those of the primary key.
pub const Target = struct { table: []const u8, delete: bool = false, columns: []const Column };
/// What to see of a message beside its fields.
pub const Wants = packed struct(u8) {
    values: bool = false,
    keys: bool = false,
    timestamps: bool = false,
    positions: bool = false,
    headers: bool = false,
    _: u3 = 0,
};
pub const Description = struct {
    name: []const u8,
    version: []const u8,
    fields: []const Field = &.{},
    lookups: []const Lookup = &.{},
    targets: []const Target = &.{},
    /// Why it rejects or filters messages.
    codes: []const []const u8 = &.{},
    wants: Wants = .{},
};

// ---- What comes in ------------------------------------------------------------------------------
/// An encoded value, or null.
pub const Cell = ?[]const u8;

/// A batch, until the host has read the answer.
pub const Batch = struct {
    from: *const Messages,
    messages: []const Message,
    fields: [description.fields.len][]const Cell,
    values: []const Cell,
    keys: []const Cell,
    headers: []const Cell,

    /// What a lookup knows of the messages' cells of a field: all are looked up at once.
    pub fn find(batch: *const Batch, comptime lookup: []const u8, comptime field: []const u8) Found(lookup) {
        return .of(batch.from.fields.slice()[comptime place(description.fields, field)]);
    }
    /// The same of other keys, one for each message.
    pub fn findAll(_: *const Batch, comptime lookup: []const u8, keys: []const Cell) Found(lookup) {
        var bytes: std.ArrayList(u8) = .empty;
        const lengths = arena.alloc(i32, keys.len) catch oom();
        for (keys, lengths) |key, *length| {
            length.* = if (key) |it| @intCast(it.len) else -1;
            bytes.appendSlice(arena, key orelse "") catch oom();
        }
        return .of(.{ .bytes = .of(bytes.items), .lengths = .of(lengths) });
    }
};

/// A message of a batch. What of it is no field must be named in `wants`.
pub const Message = struct {
    batch: *const Batch,
    index: u32,

    /// The cell of a field, encoded.
    pub fn cell(message: Message, comptime field: []const u8) Cell {
        return message.batch.fields[comptime place(description.fields, field)][message.index];
    }
    /// The value of a field; of an optional one it may be null.
    pub fn get(message: Message, comptime field: []const u8) Get(field) {
        const it = description.fields[comptime place(description.fields, field)];
        const bytes = message.cell(field) orelse if (it.optional) return null else @panic("`" ++ field ++ "` is null");
        return decode(it.kind, bytes);
    }
    fn Get(comptime field: []const u8) type {
        const it = description.fields[place(description.fields, field)];
        return if (it.optional) ?it.kind.Value() else it.kind.Value();
    }
    /// Its bytes as they came; null is a tombstone.
    pub fn value(message: Message) Cell {
        wanted("values");
        return message.batch.values[message.index];
    }
    pub fn key(message: Message) Cell {
        wanted("keys");
        return message.batch.keys[message.index];
    }
    /// The value of the first header of a name.
    pub fn header(message: Message, name: []const u8) Cell {
        wanted("headers");
        const headers = message.batch.headers[message.index].?;
        var rest = headers[2..];
        for (0..std.mem.readInt(u16, headers[0..2], .big)) |_| {
            const its_name, const its_value = .{ split(&rest), split(&rest) };
            if (std.mem.eql(u8, its_name.?, name)) return its_value;
        }
        return null;
    }
    /// In milliseconds since 1970, if it has a time.
    pub fn timestamp(message: Message) ?i64 {
        wanted("timestamps");
        const time = message.batch.from.timestamps.slice()[message.index];
        return if (time == -1) null else time;
    }
    pub fn partition(message: Message) i32 {
        wanted("positions");
        return message.batch.from.partitions.slice()[message.index];
    }
    pub fn offset(message: Message) i64 {
        wanted("positions");
        return message.batch.from.offsets.slice()[message.index];
    }
    /// An id for a row, made of where the message stands: a replay makes the same one. `row` tells the
    /// rows of one message apart.
    pub fn id(message: Message, row: u32) [16]u8 {
        var sha = std.crypto.hash.Sha1.init(.{});
        sha.update(&.{ 0x67, 0xff, 0xd6, 0x16, 0x62, 0x34, 0x5b, 0x16, 0xaf, 0x12, 0xc8, 0x1c, 0xbe, 0x97, 0x85, 0x6e });
        const place_of = .{ message.batch.from.topic.slice(), message.partition(), message.offset(), row };
        sha.update(print("{s}/{d}/{d}/{d}", place_of));
        var uuid = sha.finalResult()[0..16].*;
        uuid[6] = (uuid[6] & 0x0f) | 0x50;
        uuid[8] = (uuid[8] & 0x3f) | 0x80;
        return uuid;
    }
    fn wanted(comptime what: []const u8) void {
        if (!@field(description.wants, what)) @compileError("`wants` does not name `" ++ what ++ "`");
    }
};

/// What a lookup has found: its columns, for each key.
pub fn Found(comptime lookup: []const u8) type {
    const index = place(description.lookups, lookup);
    const columns = description.lookups[index].columns;
    return struct {
        cells: []const Cell,
        fn of(keys: Packed) @This() {
            var found: Packed = undefined;
            import.find(index, keys.bytes.at, keys.bytes.len, keys.lengths.at, keys.lengths.len, &found);
            return .{ .cells = found.unpack() };
        }
        /// What was found for a message: to be written into a row where its columns are.
        pub fn at(found: @This(), message: Message) Match {
            return .{ .cells = found.cells[message.index] };
        }
        pub const Match = struct {
            /// The encoded columns, or null: the key is unknown.
            cells: Cell,
            pub const width = columns.len;
            /// The value of a column; null where it has none, or where the key is unknown.
            pub fn get(match: Match, comptime column: []const u8) ?columns[place(columns, column)].@"1".Value() {
                var rest = match.cells orelse return null;
                inline for (0..comptime place(columns, column)) |_| _ = split(&rest);
                return decode(columns[comptime place(columns, column)].@"1", split(&rest) orelse return null);
            }
        };
    };
}

// ---- What goes out ------------------------------------------------------------------------------
/// What a row writes where a column shall stay as it is.
pub const unset: Unset = .{};
const Unset = struct {};

/// What becomes of a batch: each message gets rows, or is rejected, or is filtered.
pub const Outcome = struct {
    rows: [description.targets.len]Rows = @splat(.{}),
    rejected: std.ArrayList(struct { message: u32, code: u32, reason: []const u8 }) = .empty,
    filtered: std.ArrayList(struct { message: u32, code: u32 }) = .empty,

    const Rows = struct {
        cells: std.ArrayList(u8) = .empty,
        lengths: std.ArrayList(u32) = .empty,
        sources: std.ArrayList(u32) = .empty,
    };

    /// Writes a row: a tuple of values, encoded cells, nulls and matches in the order of the table's
    /// columns.
    pub fn row(out: *Outcome, comptime table: []const u8, message: Message, cells: anytype) void {
        out.write(comptime targetOf(table, false), message, cells);
    }
    /// Deletes the row with this key.
    pub fn delete(out: *Outcome, comptime table: []const u8, message: Message, key: anytype) void {
        out.write(comptime targetOf(table, true), message, key);
    }
    fn targetOf(comptime table: []const u8, comptime is_delete: bool) usize {
        for (description.targets, 0..) |target, index| {
            if (target.delete == is_delete and std.mem.eql(u8, target.table, table)) return index;
        }
        @compileError("`" ++ table ++ "` is not in the plugin's description");
    }
    fn write(out: *Outcome, comptime index: usize, message: Message, cells: anytype) void {
        const table = description.targets[index].table;
        const columns = description.targets[index].columns;
        const rows = &out.rows[index];
        const start = rows.cells.items.len;
        rows.cells.appendSlice(heap, &comptime std.mem.toBytes(std.mem.nativeToBig(u16, columns.len))) catch oom();
        comptime var column: usize = 0;
        inline for (cells) |cell| {
            const Type = @TypeOf(cell);
            const is_match = @typeInfo(Type) == .@"struct" and @hasDecl(Type, "width");
            const width = if (is_match) Type.width else 1;
            if (column + width > columns.len) @compileError("a row of `" ++ table ++ "` has too many cells");
            if (is_match) {
                const unknown: [4 * width]u8 = @splat(0xff);
                rows.cells.appendSlice(heap, cell.cells orelse &unknown) catch oom();
            } else put(&rows.cells, columns[column].@"1", cell);
            column += width;
        }
        if (column < columns.len) @compileError("a row of `" ++ table ++ "` needs more cells");
        rows.lengths.append(heap, rows.cells.items.len - start) catch oom();
        rows.sources.append(heap, message.index) catch oom();
    }
    /// Refuses a message that cannot be used, with a reason for a person. It takes back its rows.
    pub fn reject(out: *Outcome, message: Message, comptime code: []const u8, comptime reason: []const u8, values: anytype) void {
        out.takeBack(message);
        const index = comptime place(description.codes, code);
        out.rejected.append(arena, .{ .message = message.index, .code = index, .reason = print(reason, values) }) catch oom();
    }
    /// Leaves a message out on purpose. It takes back its rows.
    pub fn filter(out: *Outcome, message: Message, comptime code: []const u8) void {
        out.takeBack(message);
        out.filtered.append(arena, .{ .message = message.index, .code = comptime place(description.codes, code) }) catch oom();
    }
    fn takeBack(out: *Outcome, message: Message) void {
        for (&out.rows) |*rows| while (rows.sources.getLastOrNull() == message.index) {
            rows.sources.items.len -= 1;
            rows.cells.items.len -= rows.lengths.pop().?;
        };
    }
};

fn put(to: *std.ArrayList(u8), comptime kind: Kind, value: anytype) void {
    switch (@typeInfo(@TypeOf(value))) {
        .null => return putBytes(to, null),
        .optional => if (value) |it| return put(to, kind, it) else return putBytes(to, null),
        .@"struct" => if (@TypeOf(value) == Unset) return to.appendSlice(heap, &.{ 0xff, 0xff, 0xff, 0xfe }) catch oom(),
        .pointer => return putBytes(to, value),
        else => {},
    }
    const Type = kind.Value();
    const number: Type = value;
    putBytes(to, &switch (Type) {
        bool => .{@intFromBool(number)},
        f32, f64 => std.mem.toBytes(std.mem.nativeToBig(Bits(Type), @bitCast(number))),
        []const u8 => @compileError("a column of type " ++ @tagName(kind) ++ " takes its bytes"),
        else => std.mem.toBytes(std.mem.nativeToBig(Type, if (kind == .date) number ^ std.math.minInt(i32) else number)),
    });
}
fn putBytes(to: *std.ArrayList(u8), cell: Cell) void {
    const length: i32 = if (cell) |it| @intCast(it.len) else -1;
    const bytes = cell orelse "";
    to.ensureUnusedCapacity(heap, 4 + bytes.len) catch oom();
    to.appendSliceAssumeCapacity(&std.mem.toBytes(std.mem.nativeToBig(i32, length)));
    to.appendSliceAssumeCapacity(bytes);
}
fn decode(comptime kind: Kind, bytes: []const u8) kind.Value() {
    const Type = kind.Value();
    return switch (Type) {
        bool => bytes[0] != 0,
        f32, f64 => @bitCast(std.mem.readInt(Bits(Type), bytes[0..@sizeOf(Type)], .big)),
        []const u8 => bytes,
        else => std.mem.readInt(Type, bytes[0..@sizeOf(Type)], .big) ^ (if (kind == .date) std.math.minInt(i32) else 0),
    };
}
fn Bits(comptime Float: type) type {
    return if (Float == f32) u32 else u64;
}
/// The first of the cells of a match or a header, which are left without it.
fn split(rest: *[]const u8) Cell {
    const length = std.math.cast(usize, std.mem.readInt(i32, rest.*[0..4], .big));
    defer rest.* = rest.*[4 + (length orelse 0) ..];
    return if (length) |it| rest.*[4..][0..it] else null;
}
/// Where something stands that was declared under a name: the first of its members.
fn place(comptime declared: anytype, comptime name: []const u8) usize {
    for (declared, 0..) |it, index| {
        const T = @TypeOf(it);
        if (std.mem.eql(u8, if (T == []const u8) it else @field(it, std.meta.fieldNames(T)[0]), name)) return index;
    }
    @compileError("`" ++ name ++ "` is not in the plugin's description");
}

// ---- The log, and memory ------------------------------------------------------------------------
const import = struct {
    extern "sluice:plugin/log@0.1.0" fn write(level: u32, at: [*]const u8, len: usize) void;
    extern "sluice:plugin/lookup@0.1.0" fn find(u32, [*]const u8, usize, [*]const i32, usize, *Packed) void;
};
pub const panic = std.debug.FullPanic(struct {
    fn panicked(message: []const u8, _: ?usize) noreturn {
        import.write(4, message.ptr, message.len);
        @trap();
    }
}.panicked);
pub const std_options: std.Options = .{ .logFn = struct {
    fn log(comptime level: std.log.Level, comptime scope: anytype, comptime format: []const u8, values: anytype) void {
        _ = scope;
        const line = print(format, values);
        import.write(4 - @as(u32, @backingInt(level)), line.ptr, line.len);
    }
}.log };

const heap = std.heap.wasm_allocator;
var batch_arena = std.heap.ArenaAllocator.init(heap);
/// Memory until the host has read what this call answers.
pub const arena = batch_arena.allocator();

/// Text in such memory.
pub fn print(comptime format: []const u8, values: anytype) []const u8 {
    return std.fmt.allocPrint(arena, format, values) catch oom();
}
fn oom() noreturn {
    @panic("there is no memory left");
}

// ---- The canonical ABI: how the host calls ------------------------------------------------------
fn List(comptime T: type) type {
    return extern struct {
        at: [*]const T,
        len: usize,
        fn of(items: []const T) @This() {
            return .{ .at = items.ptr, .len = items.len };
        }
        fn slice(list: @This()) []const T {
            return list.at[0..list.len];
        }
    };
}
const Packed = extern struct {
    bytes: List(u8),
    lengths: List(i32),
    fn unpack(from: Packed) []const Cell {
        const cells = arena.alloc(Cell, from.lengths.len) catch oom();
        var rest = from.bytes.slice();
        for (cells, from.lengths.slice()) |*cell, length| {
            const len = std.math.cast(usize, length);
            cell.* = if (len) |it| rest[0..it] else null;
            rest = rest[len orelse 0 ..];
        }
        return cells;
    }
};
const Messages = extern struct {
    topic: List(u8),
    count: u32,
    fields: List(Packed),
    values: Packed,
    keys: Packed,
    timestamps: List(i64),
    partitions: List(i32),
    offsets: List(i64),
    headers: Packed,
};

/// Lays a value out for the host, in words: of a list its address and how many elements it has.
fn lower(to: *std.ArrayList(u32), value: anytype) void {
    switch (@typeInfo(@TypeOf(value))) {
        .pointer => |list| {
            var words: std.ArrayList(u32) = .empty;
            const is_flat = list.child == u8 or list.child == u32;
            if (!is_flat) for (value) |it| lower(&words, it);
            lower(to, @intFromPtr(if (is_flat) value.ptr else words.items.ptr));
            lower(to, value.len);
        },
        .@"struct" => |of| if (of.layout == .@"packed")
            lower(to, @as(of.backing_integer.?, @bitCast(value)))
        else if (@TypeOf(value) == Field) {
            lower(to, value.name);
            lower(to, @as(u32, @backingInt(value.kind)) | @as(u32, @intFromBool(value.optional)) << 8);
        } else inline for (of.field_names) |name| lower(to, @field(value, name)),
        .@"enum" => lower(to, @backingInt(value)),
        .bool => lower(to, @intFromBool(value)),
        else => to.append(arena, value) catch oom(),
    }
}
fn lowered(value: anytype) [*]const u32 {
    var words: std.ArrayList(u32) = .empty;
    lower(&words, value);
    return words.items.ptr;
}

fn cabiRealloc(old: [*]const u8, had: usize, _: usize, size: usize) callconv(.c) [*]u8 {
    const memory = arena.alignedAlloc(u8, .@"8", @max(size, 1)) catch oom();
    @memcpy(memory[0..had], old[0..had]);
    return memory.ptr;
}
fn init(at: [*]const u8, len: usize) callconv(.c) [*]const u32 {
    const config = at[0..len];
    const reason: ?[]const u8 = if (@hasDecl(plugin, "init"))
        plugin.init(config)
    else if (std.mem.trim(u8, config, "{} \t\r\n").len > 0) "this plugin takes no configuration" else null;
    return if (reason) |it| lowered(.{ true, it }) else lowered(.{ false, description });
}
var outcome: Outcome = .{};
fn transform(from: *const Messages) callconv(.c) [*]const u32 {
    // The answer before was read: its rows' memory is this one's.
    for (&outcome.rows) |*rows| {
        inline for (.{ "cells", "lengths", "sources" }) |list| @field(rows, list).clearRetainingCapacity();
    }
    outcome = .{ .rows = outcome.rows };
    const messages = arena.alloc(Message, from.count) catch oom();
    var batch: Batch = .{
        .from = from,
        .messages = messages,
        .fields = undefined,
        .values = from.values.unpack(),
        .keys = from.keys.unpack(),
        .headers = from.headers.unpack(),
    };
    for (&batch.fields, from.fields.slice()) |*cells, field| cells.* = field.unpack();
    for (messages, 0..) |*message, index| message.* = .{ .batch = &batch, .index = index };
    plugin.transform(&batch, &outcome) catch |err| @panic(@errorName(err));

    var groups: [description.targets.len]struct { usize, []const u8, []const u32, []const u32 } = undefined;
    for (&groups, outcome.rows, 0..) |*group, rows, target| {
        group.* = .{ target, rows.cells.items, rows.lengths.items, rows.sources.items };
    }
    return lowered(.{ @as([]const @TypeOf(groups[0]), &groups), outcome.rejected.items, outcome.filtered.items });
}
fn post(_: usize) callconv(.c) void {
    _ = batch_arena.reset(.retain_capacity);
}
/// Makes the file the plugin of its module.
pub fn exportPlugin() void {
    @export(&cabiRealloc, .{ .name = "cabi_realloc" });
    @export(&init, .{ .name = "init" });
    @export(&transform, .{ .name = "transform" });
    @export(&post, .{ .name = "cabi_post_init" });
    @export(&post, .{ .name = "cabi_post_transform" });
}
