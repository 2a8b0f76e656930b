//! What becomes of an offer, on its way to whoever made it: a line of JSON each, as it happens.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::ANSWER_MAX;
use crate::swap::{Asked, Event};

/// Lines that wait to be sent.
const LINES_MAX: usize = 64;
/// How often it is looked whether somebody has agreed, or gone.
const TICK: Duration = Duration::from_millis(50);
/// How long a proposal waits for an answer.
const PROPOSAL_MAX: Duration = Duration::from_secs(600);
/// How often an empty line tells that the host is there.
const BEAT: Duration = Duration::from_secs(1);

/// The proposals that wait for an answer, by their ids.
#[derive(Default)]
pub(super) struct Proposals(Mutex<BTreeMap<String, Arc<AtomicBool>>>);

impl Proposals {
    /// Agrees to one; whether there is such a one.
    pub(super) fn agree(&self, id: &str) -> bool {
        let waiting = self.waiting();
        let agreed = waiting.get(id);
        agreed.inspect(|agreed| agreed.store(true, Ordering::Relaxed));
        agreed.is_some()
    }

    fn waiting(&self) -> MutexGuard<'_, BTreeMap<String, Arc<AtomicBool>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The lines of an answer that is still going on.
pub(super) struct Stream(mpsc::Receiver<String>);

/// Where its lines come from.
pub(super) struct Lines(mpsc::Sender<String>);

impl Stream {
    pub(super) fn open() -> (Self, Lines) {
        let (lines, received) = mpsc::channel(LINES_MAX);
        (Self(received), Lines(lines))
    }

    /// Sends all that comes, until there is nothing more or nobody listens.
    pub(super) async fn pass_on(mut self, mut stream: TcpStream) -> io::Result<()> {
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson\r\n\
                    cache-control: no-store\r\nconnection: close\r\n\r\n";
        stream.write_all(head.as_bytes()).await?;
        let (mut from, mut to) = stream.split();
        let mut more = [0; 1 << 10];
        loop {
            let line = tokio::select! {
                line = timeout(BEAT, self.0.recv()) => match line {
                    Ok(Some(line)) => line + "\n",
                    Ok(None) => return to.shutdown().await,
                    Err(_) => "\n".to_owned(),
                },
                read = from.read(&mut more) => match read? {
                    0 => return Ok(()),
                    // There is nothing more to ask on this connection.
                    _ => continue,
                },
            };
            timeout(ANSWER_MAX, to.write_all(line.as_bytes())).await??;
        }
    }
}

impl Lines {
    /// Sends one; whether somebody still listens.
    pub(super) fn send(&self, event: &Value) -> bool {
        self.0.blocking_send(event.to_string()).is_ok()
    }

    /// Sends what becomes of an offer. If nobody listens any more, it is dropped. Gives the last
    /// event, for the log.
    pub(super) fn follow(&self, asked: &Asked, proposals: &Proposals) -> Value {
        let (id, agreed) = (
            uuid::Uuid::new_v4().to_string(),
            Arc::<AtomicBool>::default(),
        );
        let mut last = Value::Null;
        let mut proposed = None;
        while let Ok(event) = asked.next(TICK) {
            if let Some(event) = event {
                last = serde_json::to_value(&event).unwrap_or_default();
                if matches!(event, Event::Proposed(_) | Event::WouldGoBack(_)) {
                    proposed = Some(Instant::now());
                    last["id"] = id.clone().into();
                    proposals.waiting().insert(id.clone(), agreed.clone());
                }
                if !self.send(&last) {
                    break;
                }
            }
            if agreed.swap(false, Ordering::Relaxed) {
                proposed = None;
                asked.agree();
            }
            if self.0.is_closed() || proposed.is_some_and(|at| at.elapsed() > PROPOSAL_MAX) {
                break;
            }
        }
        proposals.waiting().remove(&id);
        last
    }
}
