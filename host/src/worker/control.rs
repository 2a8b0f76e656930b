//! What all workers of a pipeline must agree on: when to stop, and when to pause.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Order, Pause};

/// What all workers heed.
pub struct Control {
    stop: Arc<AtomicBool>,
    grace_over: AtomicBool,
    pause: Arc<Pause>,
    orders: Mutex<BTreeMap<usize, VecDeque<Order>>>,
    has_orders: AtomicBool,
    expects_orders: AtomicBool,
    generation: AtomicU32,
    ends: Ends,
}

impl Control {
    /// `stop` may be set by a signal; `ends` tells when `--once` is done.
    pub fn new(stop: Arc<AtomicBool>, ends: Ends) -> Self {
        Self {
            stop,
            grace_over: AtomicBool::new(false),
            pause: Arc::default(),
            orders: Mutex::default(),
            has_orders: AtomicBool::new(false),
            expects_orders: AtomicBool::new(false),
            generation: AtomicU32::new(0),
            ends,
        }
    }

    /// With a pause that others heed, too.
    #[must_use]
    pub fn with_pause(self, pause: Arc<Pause>) -> Self {
        Self { pause, ..self }
    }

    /// Asks every worker to drain and end.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Whether workers should drain and end.
    pub fn is_stopping(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Gives up what is in flight: draining has taken too long.
    pub fn end_grace(&self) {
        self.grace_over.store(true, Ordering::Relaxed);
    }

    /// Whether draining has taken so long that a batch in flight is given up.
    pub fn is_grace_over(&self) -> bool {
        self.grace_over.load(Ordering::Relaxed)
    }

    /// Lets no worker take another batch until [`Control::resume`]; what is in flight is finished.
    /// Who asks a second time changes nothing. Gives by whom it is paused, and since when.
    pub fn pause(&self, by: &str) -> String {
        self.pause.begin(by)
    }

    /// Ends a pause, and the hold of every breaker that is open.
    pub fn resume(&self) {
        self.pause.end();
    }

    /// Whether workers take no batch.
    pub fn is_paused(&self) -> bool {
        self.pause.is_on()
    }

    /// By whom it is paused, and since when, for people.
    pub fn paused(&self) -> Option<String> {
        self.pause.told()
    }

    /// How often somebody let the work go on.
    pub fn resumes(&self) -> u64 {
        self.pause.ends()
    }

    /// Tells a worker what to do at its next batch's boundary, after what it was told before.
    pub fn order(&self, worker: usize, order: Order) {
        let mut orders = self.orders();
        orders.entry(worker).or_default().push_back(order);
        self.has_orders.store(true, Ordering::Release);
    }

    /// What a worker is to do next.
    pub fn take_order(&self, worker: usize) -> Option<Order> {
        // It is asked for each batch, and nearly always there is none.
        if !self.has_orders.load(Ordering::Acquire) {
            return None;
        }
        let mut orders = self.orders();
        let order = orders.get_mut(&worker)?.pop_front();
        orders.retain(|_, orders| !orders.is_empty());
        self.has_orders.store(!orders.is_empty(), Ordering::Release);
        order
    }

    /// Whether orders are on their way that no worker should get further without: until they have them,
    /// they take no batch.
    pub fn expect_orders(&self, are_coming: bool) {
        self.expects_orders.store(are_coming, Ordering::Release);
    }

    /// Whether workers wait for orders.
    pub fn expects_orders(&self) -> bool {
        self.expects_orders.load(Ordering::Acquire)
    }

    /// Notes a generation that a worker has met.
    pub fn met(&self, generation: u32) {
        self.generation.fetch_max(generation, Ordering::Relaxed);
    }

    /// The greatest generation that a worker has met.
    pub fn generation(&self) -> u32 {
        self.generation.load(Ordering::Relaxed)
    }

    fn orders(&self) -> MutexGuard<'_, BTreeMap<usize, VecDeque<Order>>> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The ends that `--once` works up to.
    pub fn ends(&self) -> &Ends {
        &self.ends
    }
}

/// The ends of all partitions as they stood at the start; none, if the work has no end.
#[derive(Debug, Default)]
pub struct Ends {
    ends: Option<BTreeMap<i32, i64>>,
    finished: Mutex<BTreeSet<i32>>,
}

impl Ends {
    /// Ends by partition: the offset after the last message to read.
    pub fn new(ends: BTreeMap<i32, i64>) -> Self {
        Self {
            ends: Some(ends),
            finished: Mutex::default(),
        }
    }

    /// Which of these positions have reached their ends and are not finished yet.
    pub fn reached_by(&self, positions: &BTreeMap<i32, i64>) -> Vec<i32> {
        let Some(ends) = &self.ends else {
            return Vec::new();
        };
        let finished = self.finished.lock().unwrap_or_else(PoisonError::into_inner);
        let reached = positions.iter().filter(|&(partition, position)| {
            ends.get(partition).is_some_and(|end| position >= end) && !finished.contains(partition)
        });
        reached.map(|(&partition, _)| partition).collect()
    }

    /// Notes that partitions are committed up to their ends.
    pub fn finish(&self, partitions: &[i32]) {
        if !partitions.is_empty() {
            let mut finished = self.finished.lock().unwrap_or_else(PoisonError::into_inner);
            finished.extend(partitions);
        }
    }

    /// Whether all partitions are committed up to their ends. Without ends: never.
    pub fn is_finished(&self) -> bool {
        let Some(ends) = &self.ends else { return false };
        let finished = self.finished.lock().unwrap_or_else(PoisonError::into_inner);
        finished.len() == ends.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn once_is_done_when_every_partition_is() {
        let ends = Ends::new([(0, 5), (1, 0)].into());
        assert_eq!(ends.reached_by(&[(0, 4), (1, 0)].into()), [1]);
        ends.finish(&[1]);
        assert!(!ends.is_finished());
        assert_eq!(ends.reached_by(&[(0, 7), (1, 0)].into()), [0]);
        ends.finish(&[0]);
        assert!(ends.is_finished());
    }

    #[test]
    fn the_first_who_pauses_is_told() {
        let control = Control::new(Arc::default(), Ends::default());
        assert_eq!((control.paused(), control.is_paused()), (None, false));
        let told = control.pause("ada");
        assert!(told.starts_with("paused by ada since 2"), "{told}");
        assert_eq!(control.pause("bob"), told);
        assert_eq!(control.paused(), Some(told));
        control.resume();
        assert_eq!((control.paused(), control.is_paused()), (None, false));
    }

    #[test]
    fn without_ends_nothing_is_ever_done() {
        let ends = Ends::default();
        assert!(ends.reached_by(&[(0, i64::MAX)].into()).is_empty());
        ends.finish(&[0]);
        assert!(!ends.is_finished());
    }
}
