//! The cells of type `duration`: months, days and nanoseconds, each a zigzag vint.

/// The units, with what they count in and how many of it. Longer names stand before their prefixes.
const UNITS: [(&str, usize, i64); 10] = [
    ("mo", 0, 1),
    ("ms", 2, 1_000_000),
    ("us", 2, 1_000),
    ("ns", 2, 1),
    ("y", 0, 12),
    ("w", 1, 7),
    ("d", 1, 1),
    ("h", 2, 3_600_000_000_000),
    ("m", 2, 60_000_000_000),
    ("s", 2, 1_000_000_000),
];

/// Appends the cell of a duration as CQL writes it: `1y2mo3w4d5h6m7s8ms9us10ns`.
pub(super) fn parse(text: &str, cell: &mut Vec<u8>) -> Option<()> {
    let (sign, mut rest) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let mut parts = [0_i64; 3];
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let figures = rest.find(|letter: char| !letter.is_ascii_digit())?;
        let count: i64 = rest[..figures].parse().ok()?;
        let after = &rest[figures..];
        let (name, part, size) = UNITS.iter().find(|(name, ..)| after.starts_with(name))?;
        parts[*part] = parts[*part].checked_add(count.checked_mul(*size)?)?;
        rest = &after[name.len()..];
    }
    if parts[..2].iter().any(|part| i32::try_from(*part).is_err()) {
        return None;
    }
    parts.iter().for_each(|part| push_vint(cell, sign * part));
    Some(())
}

fn push_vint(cell: &mut Vec<u8>, value: i64) {
    let zigzag = ((value << 1) ^ (value >> 63)).cast_unsigned();
    // The first byte's leading ones say how many bytes follow.
    let bits = 64 - zigzag.leading_zeros();
    let extra = (bits.saturating_sub(1) / 7).min(8) as usize;
    let bytes = zigzag.to_be_bytes();
    if extra == 8 {
        cell.push(0xff);
        cell.extend(bytes);
        return;
    }
    let start = cell.len();
    cell.extend(&bytes[7 - extra..]);
    cell[start] |= !(0xff_u8 >> extra);
}

/// A duration as [`parse`] takes it.
pub(super) fn show(mut cell: &[u8]) -> Option<String> {
    let parts = [
        take_vint(&mut cell)?,
        take_vint(&mut cell)?,
        take_vint(&mut cell)?,
    ];
    let sign = if parts.iter().any(|part| *part < 0) {
        "-"
    } else {
        ""
    };
    let [months, days, nanos] = parts.map(i64::unsigned_abs);
    cell.is_empty()
        .then(|| format!("{sign}{months}mo{days}d{nanos}ns"))
}

fn take_vint(cell: &mut &[u8]) -> Option<i64> {
    let (first, rest) = cell.split_first()?;
    let extra = first.leading_ones() as usize;
    let (bytes, rest) = rest.split_at_checked(extra)?;
    let head = u64::from(first & 0xff_u8.checked_shr(first.leading_ones()).unwrap_or(0));
    let zigzag = bytes
        .iter()
        .fold(head, |sum, byte| sum << 8 | u64::from(*byte));
    *cell = rest;
    Some((zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed())
}
