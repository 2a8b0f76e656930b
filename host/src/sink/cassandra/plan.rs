//! Which rows of a batch travel together.
//!
//! Rows of one partition go as one request: Cassandra applies it as a single mutation, at a quarter
//! of the cost of as many requests. Order does not matter, because write times decide what wins.

use std::hash::BuildHasher;
use std::ops::Range;

use hashbrown::{DefaultHashBuilder, HashTable};

use crate::row::{Cell, Key, Rows, Transformed};

/// The most rows in a request. Beyond 150 the rate no longer rises and latency does.
pub(super) const UNIT_ROWS_MAX: usize = 128;

/// The most bytes in a request of one partition: far below the 16 MiB that Cassandra applies at once.
const UNIT_BYTES_MAX: usize = 256 << 10;

/// From how many rows on that stand alone in their partitions they travel together: below, nothing
/// is gained by making a row wait for others.
const LONE_ROWS_MIN: usize = 64;

/// The most rows and bytes in a request across partitions: Cassandra warns from 5 KiB on.
const LONE_UNIT_ROWS_MAX: usize = 24;
const LONE_UNIT_BYTES_MAX: usize = 4 << 10;

/// Rows that travel in one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unit {
    /// Which of the batch's `rows`.
    pub(super) rows: usize,
    /// Where they stand in the plan's order.
    pub(super) order: Range<usize>,
}

/// The requests of a batch.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// Indices of rows, so that those of one partition are together; for each of the batch's `rows`.
    order: Vec<Vec<u32>>,
    pub(super) units: Vec<Unit>,
}

impl Plan {
    /// Plans a batch. `keys` are the targets' keys; `lone_together` lets rows of different
    /// partitions travel together when there are many.
    pub(super) fn of(batch: &Transformed, keys: &[Key], lone_together: bool) -> Self {
        let mut plan = Self::default();
        for (index, rows) in batch.rows.iter().enumerate() {
            let (order, groups) = grouped(rows, &keys[rows.target].partition);
            let mut cut = Cut {
                rows,
                order: &order,
                index,
                units: &mut plan.units,
            };
            let lone = groups.iter().take_while(|group| group.len() == 1).count();
            if lone_together && lone >= LONE_ROWS_MIN {
                cut.push_units(0..lone, LONE_UNIT_ROWS_MAX, LONE_UNIT_BYTES_MAX);
            } else {
                cut.push_units(0..lone, 1, 0);
            }
            for group in &groups[lone..] {
                let units = group.len().div_ceil(UNIT_ROWS_MAX);
                cut.push_units(group.clone(), group.len().div_ceil(units), UNIT_BYTES_MAX);
            }
            plan.order.push(order);
        }
        plan
    }

    /// The indices of a unit's rows in the batch's `rows`.
    pub(super) fn rows(&self, unit: &Unit) -> &[u32] {
        &self.order[unit.rows][unit.order.clone()]
    }
}

struct Cut<'a> {
    rows: &'a Rows,
    order: &'a [u32],
    index: usize,
    units: &'a mut Vec<Unit>,
}

impl Cut<'_> {
    fn push_units(&mut self, range: Range<usize>, rows_max: usize, bytes_max: usize) {
        let (mut start, mut bytes) = (range.start, 0);
        for at in range.clone() {
            let size = self.rows.row(self.order[at] as usize).len();
            if at > start && (at - start == rows_max || bytes + size > bytes_max) {
                self.units.push(Unit {
                    rows: self.index,
                    order: start..at,
                });
                (start, bytes) = (at, 0);
            }
            bytes += size;
        }
        if start < range.end {
            self.units.push(Unit {
                rows: self.index,
                order: start..range.end,
            });
        }
    }
}

/// The order in which rows of one partition stand together, and the groups; those of one row first.
fn grouped(rows: &Rows, partition: &[usize]) -> (Vec<u32>, Vec<Range<usize>>) {
    let (bytes, ends) = partition_keys(rows, partition);
    let key = |row: usize| &bytes[if row == 0 { 0 } else { ends[row - 1] }..ends[row]];
    let hasher = DefaultHashBuilder::default();
    let mut index: HashTable<(usize, usize)> = HashTable::with_capacity(rows.len().min(1024));
    let mut group_of: Vec<usize> = Vec::with_capacity(rows.len());
    let mut sizes: Vec<usize> = Vec::new();
    for row in 0..rows.len() {
        let hash = hasher.hash_one(key(row));
        let found = index.find(hash, |&(first, _)| key(first) == key(row));
        let group = found.map_or(sizes.len(), |&(_, group)| group);
        if group == sizes.len() {
            index.insert_unique(hash, (row, group), |&(first, _)| {
                hasher.hash_one(key(first))
            });
            sizes.push(0);
        }
        sizes[group] += 1;
        group_of.push(group);
    }
    let lone = sizes.iter().filter(|&&size| size == 1).count();
    let (mut next_lone, mut next) = (0, lone);
    let mut groups = Vec::with_capacity(sizes.len() - lone);
    let mut places: Vec<usize> = Vec::with_capacity(sizes.len());
    for &size in &sizes {
        if size == 1 {
            places.push(next_lone);
            next_lone += 1;
        } else {
            places.push(next);
            groups.push(next..next + size);
            next += size;
        }
    }
    let mut order = vec![0; rows.len()];
    for (row, &group) in group_of.iter().enumerate() {
        order[places[group]] = u32::try_from(row).expect("a batch has fewer than 2^32 rows");
        places[group] += 1;
    }
    let lone = (0..lone).map(|at| at..at + 1);
    (order, lone.chain(groups).collect())
}

/// The cells of each row's partition key, with their lengths, one row after another.
fn partition_keys(rows: &Rows, partition: &[usize]) -> (Vec<u8>, Vec<usize>) {
    let last = partition.iter().max().map_or(0, |last| last + 1);
    let mut bytes = Vec::with_capacity(rows.len() * 16);
    let mut ends = Vec::with_capacity(rows.len());
    for row in 0..rows.len() {
        for (index, cell) in rows.cells(row).take(last).enumerate() {
            if let Cell::Value(cell) = cell
                && partition.contains(&index)
            {
                bytes.extend_from_slice(&cell.len().to_le_bytes());
                bytes.extend_from_slice(cell);
            }
        }
        ends.push(bytes.len());
    }
    (bytes, ends)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::message::Batch;
    use crate::row::push_cell;

    /// A batch of rows with a partition key of two columns (the second and the third), as large as
    /// each says.
    fn batch(rows: &[(&str, &str, usize)]) -> Transformed {
        let mut all = Rows::default();
        for (index, (first, second, size)) in rows.iter().enumerate() {
            all.bytes.extend_from_slice(&3u16.to_be_bytes());
            push_cell(&mut all.bytes, Some(&vec![0; *size]));
            push_cell(&mut all.bytes, Some(second.as_bytes()));
            push_cell(&mut all.bytes, Some(first.as_bytes()));
            all.ends.push(u32::try_from(all.bytes.len()).unwrap());
            all.write_times.push(1);
            all.sources.push(u32::try_from(index).unwrap());
        }
        let batch = Batch::new("t".into());
        Transformed {
            batch,
            rows: vec![all],
            written: 0,
            rejected: vec![],
            filtered: vec![],
        }
    }

    /// The sizes of the units of one partition and of those across partitions.
    fn check(rows: &[(&str, &str, usize)], lone_together: bool) -> (Vec<usize>, Vec<usize>) {
        let transformed = batch(rows);
        let key = Key {
            partition: vec![2, 1],
            clustering: vec![],
        };
        let plan = Plan::of(&transformed, &[key], lone_together);
        let mut seen = vec![0; rows.len()];
        let (mut own, mut across) = (vec![], vec![]);
        for unit in &plan.units {
            let mut partitions = BTreeMap::new();
            for &row in plan.rows(unit) {
                let (first, second, _) = rows[row as usize];
                seen[row as usize] += 1;
                *partitions.entry((first, second)).or_insert(0) += 1;
            }
            let units = if partitions.len() == 1 {
                &mut own
            } else {
                &mut across
            };
            units.push(unit.order.len());
        }
        assert!(
            seen.iter().all(|&times| times == 1),
            "each row is in exactly one unit"
        );
        (own, across)
    }

    #[test]
    fn rows_of_one_partition_travel_together() {
        assert_eq!(check(&[], true), (vec![], vec![]));
        assert_eq!(
            check(&[("a", "x", 1), ("ax", "", 1), ("a", "x", 1)], true),
            (vec![1, 2], vec![])
        );
        assert_eq!(
            check(&[("a", "x", 1); 300], true),
            (vec![100, 100, 100], vec![])
        );
        assert_eq!(check(&[("a", "x", 1); 128], true), (vec![128], vec![]));
        let large = UNIT_BYTES_MAX / 2;
        assert_eq!(
            check(&[("a", "x", large), ("a", "x", 9), ("a", "x", large)], true).0,
            [2, 1]
        );
    }

    #[test]
    fn many_lone_rows_travel_together_within_the_warning() {
        let names: Vec<String> = (0..100).map(|index| format!("n{index}")).collect();
        let rows: Vec<_> = names.iter().map(|name| (name.as_str(), "x", 10)).collect();
        assert_eq!(check(&rows, true), (vec![], vec![24, 24, 24, 24, 4]));
        assert_eq!(check(&rows, false), (vec![1; 100], vec![]));
        assert_eq!(check(&rows[..63], true), (vec![1; 63], vec![]));
        let large: Vec<_> = names
            .iter()
            .map(|name| (name.as_str(), "x", 1000))
            .collect();
        assert!(check(&large, true).1.iter().all(|&size| size <= 4));
    }
}
