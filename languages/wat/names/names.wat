;; A whole plugin by hand: it stores each message's name. docs/writing-a-plugin.md has the layouts.
(module
  (memory (export "memory") 2)
  (global $free (mut i32) (i32.const 1024))
  (data (i32.const 0) "names" "1.0.0" "name")
  ;; a field `name`, text; a column `name`, text; a target `names` of that column
  (data (i32.const 32) "\0a\00\00\00\04\00\00\00\01\00\00\00")
  (data (i32.const 48) "\0a\00\00\00\04\00\00\00\01\00\00\00")
  (data (i32.const 64) "\00\00\00\00\05\00\00\00\00\00\00\00\30\00\00\00\01\00\00\00")
  ;; the result of init at 96: ok, name, version, one field, no lookups, one target, no codes
  (data (i32.const 100) "\00\00\00\00\05\00\00\00\05\00\00\00\05\00\00\00\20\00\00\00\01\00\00\00")
  (data (i32.const 132) "\40\00\00\00\01\00\00\00")

  (func $allocate (export "cabi_realloc") (param $old i32) (param $had i32) (param $align i32)
    (param $size i32) (result i32) (local $at i32)
    (local.set $at (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
    (global.set $free (i32.add (local.get $at) (local.get $size)))
    (if (i32.gt_u (global.get $free) (i32.shl (memory.size) (i32.const 16)))
      (then (drop (memory.grow
        (i32.add (i32.shr_u (local.get $size) (i32.const 16)) (i32.const 1))))))
    (memory.copy (local.get $at) (local.get $old) (local.get $had))
    (local.get $at))

  (func $free_all (param i32) (global.set $free (i32.const 1024)))
  (export "cabi_post_init" (func $free_all))
  (export "cabi_post_transform" (func $free_all))

  (func (export "init") (param i32 i32) (result i32) (i32.const 96))

  (func $big_endian (param $value i32) (result i32)
    (i32.or
      (i32.and (i32.rotl (local.get $value) (i32.const 8)) (i32.const 0x00ff00ff))
      (i32.and (i32.rotr (local.get $value) (i32.const 8)) (i32.const 0xff00ff00))))

  (func (export "transform") (param $messages i32) (result i32)
    (local $names i32) (local $cell i32) (local $length i32) (local $count i32) (local $i i32)
    (local $row i32) (local $rows i32) (local $lengths i32) (local $sources i32)
    (local.set $count (i32.load offset=8 (local.get $messages)))
    (local.set $names (i32.load offset=12 (local.get $messages)))
    (local.set $cell (i32.load (local.get $names)))
    ;; a row is its cell and 6 bytes: the count of cells, and the cell's length
    (local.set $rows (call $allocate (i32.const 0) (i32.const 0) (i32.const 1)
      (i32.add (i32.load offset=4 (local.get $names)) (i32.mul (local.get $count) (i32.const 6)))))
    (local.set $lengths (call $allocate (i32.const 0) (i32.const 0) (i32.const 4)
      (i32.mul (local.get $count) (i32.const 4))))
    (local.set $sources (call $allocate (i32.const 0) (i32.const 0) (i32.const 4)
      (i32.mul (local.get $count) (i32.const 4))))
    (local.set $row (local.get $rows))
    (loop $next
      (local.set $length (i32.load (i32.add (i32.load offset=8 (local.get $names))
        (i32.shl (local.get $i) (i32.const 2)))))
      (i32.store16 (local.get $row) (i32.const 0x0100))
      (i32.store offset=2 (local.get $row) (call $big_endian (local.get $length)))
      (memory.copy (i32.add (local.get $row) (i32.const 6)) (local.get $cell) (local.get $length))
      (i32.store (i32.add (local.get $lengths) (i32.shl (local.get $i) (i32.const 2)))
        (i32.add (local.get $length) (i32.const 6)))
      (i32.store (i32.add (local.get $sources) (i32.shl (local.get $i) (i32.const 2)))
        (local.get $i))
      (local.set $cell (i32.add (local.get $cell) (local.get $length)))
      (local.set $row (i32.add (local.get $row) (i32.add (local.get $length) (i32.const 6))))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $i) (local.get $count))))
    ;; the rows at 160: target 0, packed, sources; the outcome at 192: them, and nothing else
    (i32.store (i32.const 164) (local.get $rows))
    (i32.store (i32.const 168) (i32.sub (local.get $row) (local.get $rows)))
    (i32.store (i32.const 172) (local.get $lengths))
    (i32.store (i32.const 176) (local.get $count))
    (i32.store (i32.const 180) (local.get $sources))
    (i32.store (i32.const 184) (local.get $count))
    (i32.store (i32.const 192) (i32.const 160))
    (i32.store (i32.const 196) (i32.const 1))
    (i32.const 192)))
