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

/// A batch, as the host hands it over.
pub const Batch = extern struct {
    topic: List(u8),
    count: u32,
    fields: List(Packed),
    values: Packed,
    keys: Packed,
    timestamps: List(i64),
    partitions: List(i32),
    offsets: List(i64),
    headers: Packed,

    pub fn messages(batch: *const Batch) Messages {
        return .{ .batch = batch };
    }
    /// What a lookup knows of the messages' cells of a field: all are looked up at once.
    pub fn find(batch: *const Batch, comptime lookup: []const u8, comptime field: []const u8) Found(lookup) {
        return findPacked(lookup, batch.fields.slice()[comptime place(description.fields, "name", field)]);
    }
    /// The same of other keys, one for each message.
    pub fn findAll(_: *const Batch, comptime lookup: []const u8, keys: []const Cell) Found(lookup) {
        var bytes: std.ArrayList(u8) = .empty;
        const lengths = arena.alloc(i32, keys.len) catch oom();
        for (keys, lengths) |key, *length| {
            length.* = if (key) |it| @intCast(it.len) else -1;
            bytes.appendSlice(arena, key orelse "") catch oom();
        }
        return findPacked(lookup, .{ .bytes = .of(bytes.items), .lengths = .of(lengths) });
    }
};

/// A message of a batch, while the iterator stands at it.
pub const Message = struct {
    batch: *const Batch,
    index: u32,
    cells: [description.fields.len]Cell = undefined,
    /// Its bytes as they came; null is a tombstone.
    value: Cell = null,
    key: Cell = null,
    headers: Cell = null,

    /// The cell of a field, encoded.
    pub fn cell(message: *const Message, comptime field: []const u8) Cell {
        return message.cells[comptime place(description.fields, "name", field)];
    }
    /// The value of a field; of an optional one it may be null.
    pub fn get(message: *const Message, comptime field: []const u8) Get(field) {
        const index = comptime place(description.fields, "name", field);
        const it = description.fields[index];
        const bytes = message.cells[index] orelse if (it.optional) return null else @panic("`" ++ field ++ "` is null");
        return decode(it.kind, bytes);
    }
    fn Get(comptime field: []const u8) type {
        const it = description.fields[place(description.fields, "name", field)];
        return if (it.optional) ?it.kind.Value() else it.kind.Value();
    }
    /// In milliseconds since 1970, if it has a time.
    pub fn timestamp(message: *const Message) ?i64 {
        const time = message.batch.timestamps.slice()[message.index];
        return if (time == -1) null else time;
    }
    pub fn partition(message: *const Message) i32 {
        return message.batch.partitions.slice()[message.index];
    }
    pub fn offset(message: *const Message) i64 {
        return message.batch.offsets.slice()[message.index];
    }
    /// The value of the first header of a name.
    pub fn header(message: *const Message, name: []const u8) Cell {
        var rest = message.headers.?[2..];
        for (0..std.mem.readInt(u16, message.headers.?[0..2], .big)) |_| {
            const key, const value = .{ split(&rest), split(&rest) };
            if (std.mem.eql(u8, key.?, name)) return value;
        }
        return null;
    }
    /// An id for a row, made of where the message stands: a replay makes the same one. `row` tells the
    /// rows of one message apart.
    pub fn id(message: *const Message, row: u32) [16]u8 {
        var sha = std.crypto.hash.Sha1.init(.{});
        sha.update(&.{ 0x67, 0xff, 0xd6, 0x16, 0x62, 0x34, 0x5b, 0x16, 0xaf, 0x12, 0xc8, 0x1c, 0xbe, 0x97, 0x85, 0x6e });
        const place_of = .{ message.batch.topic.slice(), message.partition(), message.offset(), row };
        sha.update(print("{s}/{d}/{d}/{d}", place_of));
        var uuid = sha.finalResult()[0..16].*;
        uuid[6] = (uuid[6] & 0x0f) | 0x50;
        uuid[8] = (uuid[8] & 0x3f) | 0x80;
        return uuid;
    }
};

/// The messages of a batch, one after another.
pub const Messages = struct {
    batch: *const Batch,
    next_index: u32 = 0,
    message: Message = undefined,
    starts: [description.fields.len + 3]usize = @splat(0),

    /// The next message, until the next call.
    pub fn next(messages: *Messages) ?*const Message {
        const index = messages.next_index;
        if (index == messages.batch.count) return null;
        const message = &messages.message;
        message.* = .{ .batch = messages.batch, .index = index };
        const fields = messages.batch.fields.slice();
        const wants, const extra = .{ description.wants, description.fields.len };
        inline for (&message.cells, 0..) |*cell, i| cell.* = messages.cut(fields[i], i);
        if (wants.values) message.value = messages.cut(messages.batch.values, extra);
        if (wants.keys) message.key = messages.cut(messages.batch.keys, extra + 1);
        if (wants.headers) message.headers = messages.cut(messages.batch.headers, extra + 2);
        messages.next_index += 1;
        return message;
    }
    inline fn cut(messages: *Messages, from: Packed, comptime i: usize) Cell {
        const length = std.math.cast(usize, from.lengths.slice()[messages.next_index]) orelse return null;
        const start = messages.starts[i];
        messages.starts[i] += length;
        return from.bytes.slice()[start..][0..length];
    }
};

/// What a lookup has found: its columns, for each key.
pub fn Found(comptime lookup: []const u8) type {
    const columns = description.lookups[place(description.lookups, "name", lookup)].columns;
    return struct {
        cells: []const Cell,
        /// What was found for a message: to be written into a row where its columns are.
        pub fn at(found: @This(), message: *const Message) Match {
            return .{ .cells = found.cells[message.index] };
        }
        pub const Match = struct {
            /// The encoded columns, or null: the key is unknown.
            cells: Cell,
            pub const width = columns.len;
            /// The value of a column; null where it has none, or where the key is unknown.
            pub fn get(match: Match, comptime column: []const u8) ?columns[place(columns, "0", column)].@"1".Value() {
                var rest = match.cells orelse return null;
                inline for (0..comptime place(columns, "0", column)) |_| _ = split(&rest);
                return decode(columns[comptime place(columns, "0", column)].@"1", split(&rest) orelse return null);
            }
        };
    };
}

// ---- What goes out ------------------------------------------------------------------------------
/// What a row writes where a column shall stay as it is.
pub const unset: Unset = .{};
const Unset = struct {};

const Rows = struct { cells: std.ArrayList(u8) = .empty, lengths: std.ArrayList(u32) = .empty, sources: std.ArrayList(u32) = .empty };
const Rejection = extern struct { message: u32, code: u32, reason: List(u8) };
const Filtered = extern struct { message: u32, code: u32 };

/// What becomes of a batch: each message gets rows, or is rejected, or is filtered.
pub const Outcome = struct {
    rows: *[description.targets.len]Rows,
    rejected: std.ArrayList(Rejection) = .empty,
    filtered: std.ArrayList(Filtered) = .empty,

    /// Writes a row: a tuple of values, encoded cells, nulls and matches in the order of the table's
    /// columns.
    pub fn row(out: *Outcome, comptime table: []const u8, message: *const Message, cells: anytype) void {
        out.write(comptime targetOf(table, false), message, cells);
    }
    /// Deletes the row with this key.
    pub fn delete(out: *Outcome, comptime table: []const u8, message: *const Message, key: anytype) void {
        out.write(comptime targetOf(table, true), message, key);
    }
    fn targetOf(comptime table: []const u8, comptime is_delete: bool) usize {
        for (description.targets, 0..) |target, index| {
            if (target.delete == is_delete and std.mem.eql(u8, target.table, table)) return index;
        }
        @compileError("`" ++ table ++ "` is not in the plugin's description");
    }
    fn write(out: *Outcome, comptime index: usize, message: *const Message, cells: anytype) void {
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
    pub fn reject(out: *Outcome, message: *const Message, comptime code: []const u8, comptime reason: []const u8, values: anytype) void {
        out.takeBack(message);
        const index = comptime place(description.codes, "", code);
        out.rejected.append(arena, .{ .message = message.index, .code = index, .reason = .of(print(reason, values)) }) catch oom();
    }
    /// Leaves a message out on purpose. It takes back its rows.
    pub fn filter(out: *Outcome, message: *const Message, comptime code: []const u8) void {
        out.takeBack(message);
        const index = comptime place(description.codes, "", code);
        out.filtered.append(arena, .{ .message = message.index, .code = index }) catch oom();
    }
    fn takeBack(out: *Outcome, message: *const Message) void {
        for (out.rows) |*rows| while (rows.sources.getLastOrNull() == message.index) {
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
/// Where something stands that was declared under a name.
fn place(comptime declared: anytype, comptime member: []const u8, comptime name: []const u8) usize {
    for (declared, 0..) |it, index| {
        if (std.mem.eql(u8, if (member.len > 0) @field(it, member) else it, name)) return index;
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
        at: [*]const T = undefined,
        len: usize = 0,
        fn of(items: []const T) @This() {
            return .{ .at = items.ptr, .len = items.len };
        }
        pub fn slice(list: @This()) []const T {
            return list.at[0..list.len];
        }
    };
}
const Packed = extern struct { bytes: List(u8), lengths: List(i32) };
fn findPacked(comptime lookup: []const u8, keys: Packed) Found(lookup) {
    var found: Packed = undefined;
    const index = comptime place(description.lookups, "name", lookup);
    import.find(index, keys.bytes.at, keys.bytes.len, keys.lengths.at, keys.lengths.len, &found);
    const cells = arena.alloc(Cell, found.lengths.len) catch oom();
    var rest = found.bytes.slice();
    for (cells, found.lengths.slice()) |*cell, length| {
        const len = std.math.cast(usize, length);
        cell.* = if (len) |it| rest[0..it] else null;
        rest = rest[len orelse 0 ..];
    }
    return .{ .cells = cells };
}

const abi = struct {
    const Name = List(u8);
    const ColumnOf = extern struct { name: Name, kind: u32 };
    const FieldOf = extern struct { name: Name, kind: Kind, optional: bool };
    const LookupOf = extern struct { name: Name, key: ColumnOf, columns: List(ColumnOf) };
    const TargetOf = extern struct { table: Name, delete: u32, columns: List(ColumnOf) };
    const DescriptionOf = extern struct { failed: u32 = 0, name: Name, version: Name, fields: List(FieldOf), lookups: List(LookupOf), targets: List(TargetOf), codes: List(Name), wants: Wants };
    const RowsOf = extern struct { target: u32, cells: List(u8), lengths: List(u32), sources: List(u32) };
    const OutcomeOf = extern struct { rows: List(RowsOf), rejected: List(Rejection), filtered: List(Filtered) };

    const described: DescriptionOf = .{
        .name = .of(description.name),
        .version = .of(description.version),
        .fields = all(FieldOf, description.fields),
        .lookups = all(LookupOf, description.lookups),
        .targets = all(TargetOf, description.targets),
        .codes = all(Name, description.codes),
        .wants = description.wants,
    };
    fn all(comptime T: type, comptime from: anytype) List(T) {
        comptime var to: [from.len]T = undefined;
        inline for (&to, from) |*it, one| it.* = switch (T) {
            Name => .of(one),
            ColumnOf => columnOf(one),
            FieldOf => .{ .name = .of(one.name), .kind = one.kind, .optional = one.optional },
            LookupOf => .{ .name = .of(one.name), .key = columnOf(one.key), .columns = all(ColumnOf, one.columns) },
            TargetOf => .{ .table = .of(one.table), .delete = @intFromBool(one.delete), .columns = all(ColumnOf, one.columns) },
            else => comptime unreachable,
        };
        const fixed = to;
        return .of(&fixed);
    }
    fn columnOf(comptime column: Column) ColumnOf {
        return .{ .name = .of(column.@"0"), .kind = @backingInt(column.@"1") };
    }
};

fn cabiRealloc(old: [*]const u8, had: usize, _: usize, size: usize) callconv(.c) [*]u8 {
    const memory = arena.alignedAlloc(u8, .@"8", @max(size, 1)) catch oom();
    @memcpy(memory[0..had], old[0..had]);
    return memory.ptr;
}
fn init(at: [*]const u8, len: usize) callconv(.c) *const anyopaque {
    const config = at[0..len];
    const reason: ?[]const u8 = if (@hasDecl(plugin, "init"))
        plugin.init(config)
    else if (std.mem.trim(u8, config, "{} \t\r\n").len > 0) "this plugin takes no configuration" else null;
    const Refusal = extern struct { failed: u32 = 1, reason: List(u8) };
    const refusal = arena.create(Refusal) catch oom();
    refusal.* = .{ .reason = .of(reason orelse return &abi.described) };
    return refusal;
}
fn transform(batch: *const Batch) callconv(.c) *const abi.OutcomeOf {
    const kept = struct {
        var rows: [description.targets.len]Rows = @splat(.{});
        var groups: [description.targets.len]abi.RowsOf = undefined;
        var outcome: abi.OutcomeOf = undefined;
    };
    // Their memory stays for the next batch.
    for (&kept.rows) |*rows| inline for (.{ "cells", "lengths", "sources" }) |list| @field(rows, list).clearRetainingCapacity();
    var out: Outcome = .{ .rows = &kept.rows };
    plugin.transform(batch, &out) catch |err| @panic(@errorName(err));
    for (&kept.groups, kept.rows, 0..) |*group, rows, target| group.* = .{
        .target = target,
        .cells = .of(rows.cells.items),
        .lengths = .of(rows.lengths.items),
        .sources = .of(rows.sources.items),
    };
    kept.outcome = .{ .rows = .of(&kept.groups), .rejected = .of(out.rejected.items), .filtered = .of(out.filtered.items) };
    return &kept.outcome;
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
