//! Progress as rows beside the tables: `sluice.checkpoints` and `sluice.generations`.
//!
//! A thread of its own writes them behind the group's commits, with a session of its own, so they are
//! never in a message's way. What cannot be written now is written later; only the latest row of a
//! partition waits.

mod link;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use self::link::Link;
use crate::code::Code;
use crate::message::WriteTime;
use crate::sink::cassandra;

pub use self::link::apply;

/// How long an answer is waited for, so that a signal is heeded meanwhile; then it is asked once more.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(1);

/// How soon is tried again what failed.
const AGAIN: Duration = Duration::from_secs(5);

/// How long the last rows may take when the work ends, and how long one of them: a store that does not
/// answer keeps nobody from ending.
const END_WAIT_MAX: Duration = Duration::from_secs(5);
const STEP_WAIT_MAX: Duration = Duration::from_millis(400);

/// Whose progress it is.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the pipeline's tables are.
    pub cassandra: cassandra::Config,
    /// The pipeline's name.
    pub pipeline: String,
    /// The consumer group.
    pub group: String,
    /// The topic.
    pub topic: String,
}

/// How far one partition is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Which one.
    pub partition: i32,
    /// The topic's id, if the brokers give it one.
    pub topic: Option<String>,
    /// The next offset.
    pub next: i64,
    /// The write time of the last message before it.
    pub write_time: Option<WriteTime>,
    /// The generation in which it was written.
    pub generation: u32,
    /// What makes a row newer than all before the group last went back: in microseconds since 1970.
    pub epoch: i64,
    /// Who wrote it.
    pub member: String,
    /// With which code.
    pub code: Arc<Code>,
}

/// The rows of one group.
#[derive(Debug)]
pub struct Store {
    todo: Arc<Todo>,
    ended: Mutex<Receiver<()>>,
}

type Answer = Result<Vec<Row>, String>;

/// What waits for the thread.
#[derive(Debug, Default)]
struct Todo {
    work: Mutex<Work>,
    wake: Notify,
    /// Somebody waits for an answer.
    asked: Notify,
    /// How many steps were done.
    done: AtomicU64,
}

/// What is to be done, at most one row of each kind a partition.
#[derive(Debug, Default)]
struct Work {
    /// By cluster and partition.
    rows: BTreeMap<(String, i32), Row>,
    /// The first of a generation, by it and the partition.
    firsts: BTreeMap<(u32, i32), Row>,
    /// By whom, about which cluster.
    asked: Vec<(String, SyncSender<Answer>)>,
    is_over: bool,
}

impl Todo {
    fn work(&self) -> MutexGuard<'_, Work> {
        // Whoever panicked stopped between two entries.
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Work {
    fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.firsts.is_empty() && self.asked.is_empty()
    }

    /// What is here and was not done, but for what is known better by now.
    fn put_back(&mut self, older: Self) {
        for (key, row) in older.rows {
            self.rows.entry(key).or_insert(row);
        }
        for (key, row) in older.firsts {
            self.firsts.entry(key).or_insert(row);
        }
    }
}

impl Store {
    /// Starts the thread, which connects by itself.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn open(config: Config) -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let todo = Arc::new(Todo::default());
        let (end, ended) = channel();
        let work = todo.clone();
        thread::Builder::new()
            .name("checkpoints".into())
            .spawn(move || {
                runtime.block_on(Box::pin(serve(Link::new(config), &work)));
                // Nobody waits any more if this took too long.
                let _ = end.send(());
            })?;
        Ok(Self {
            todo,
            ended: Mutex::new(ended),
        })
    }

    /// The rows that are kept for a cluster of brokers; none, if there are none or they may not be read.
    ///
    /// # Errors
    /// When Cassandra does not answer in time.
    pub fn kept(&self, cluster: &str) -> Result<Vec<Row>, String> {
        let (answer, answered) = sync_channel(1);
        self.todo.work().asked.push((cluster.to_owned(), answer));
        self.todo.asked.notify_one();
        self.todo.wake.notify_one();
        match answered.recv_timeout(ANSWER_WAIT_MAX) {
            Ok(answer) => answer,
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => Err(format!(
                "Cassandra did not answer within {} s",
                ANSWER_WAIT_MAX.as_secs()
            )),
        }
    }

    /// Keeps rows, soon.
    pub fn keep(&self, cluster: &str, rows: Vec<Row>) {
        let mut work = self.todo.work();
        for row in rows {
            work.rows.insert((cluster.to_owned(), row.partition), row);
        }
        drop(work);
        self.todo.wake.notify_one();
    }

    /// Keeps the rows that a generation begins with, soon.
    pub fn begin(&self, rows: Vec<Row>) {
        let mut work = self.todo.work();
        for row in rows {
            let place = (row.generation, row.partition);
            work.firsts.entry(place).or_insert(row);
        }
        drop(work);
        self.todo.wake.notify_one();
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.todo.work().is_over = true;
        self.todo.wake.notify_one();
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        let until = Instant::now() + END_WAIT_MAX;
        let mut done = self.todo.done.load(Ordering::Relaxed);
        while ended.recv_timeout(STEP_WAIT_MAX) == Err(RecvTimeoutError::Timeout) {
            let before = std::mem::replace(&mut done, self.todo.done.load(Ordering::Relaxed));
            if before == done || Instant::now() >= until {
                tracing::debug!("the last rows of sluice.checkpoints were not written in time");
                return;
            }
        }
    }
}

/// Does what is to be done until all is over.
async fn serve(mut link: Link, todo: &Todo) {
    let mut is_failing = false;
    loop {
        let mut work = std::mem::take(&mut *todo.work());
        let is_over = work.is_over;
        if work.is_empty() {
            if is_over {
                return;
            }
            // A session that is there when the first row comes.
            link.connect().await;
            todo.wake.notified().await;
            continue;
        }
        match Box::pin(link.carry(&mut work, &todo.done)).await {
            Ok(()) if is_failing => {
                tracing::info!("rows of sluice.checkpoints are written again");
                is_failing = false;
            }
            Ok(()) => {}
            Err(error) => {
                if !std::mem::replace(&mut is_failing, true) {
                    tracing::warn!(
                        %error,
                        "rows of sluice.checkpoints are not written; the work goes on, and Kafka has \
                         the group's offsets"
                    );
                }
                if is_over {
                    return;
                }
                todo.work().put_back(work);
                // Whoever waits for an answer does not wait for this.
                let _ = tokio::time::timeout(AGAIN, todo.asked.notified()).await;
            }
        }
        if is_over {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(next: i64) -> Row {
        Row {
            partition: 3,
            topic: None,
            next,
            write_time: None,
            generation: 0,
            epoch: 0,
            member: String::new(),
            code: Arc::default(),
        }
    }

    #[test]
    fn the_latest_row_waits_and_the_first_one_stays() {
        let todo = Todo::default();
        let key = || ("cluster".to_owned(), 3);
        let mut older = Work::default();
        older.rows.insert(key(), row(5));
        older.firsts.insert((0, 3), row(0));
        todo.work().rows.insert(key(), row(9));
        todo.work().put_back(older);
        let work = todo.work();
        assert_eq!(work.rows[&key()].next, 9);
        assert_eq!(work.firsts[&(0, 3)].next, 0);
        assert!(!work.is_empty());
    }
}
