//! A host of a test's own, and what it says.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use crate::support::signal;

/// A running host whose progress is followed.
pub(super) struct Child {
    child: std::process::Child,
    messages: Arc<AtomicUsize>,
    said: Arc<Mutex<String>>,
    readers: Vec<JoinHandle<()>>,
}

impl Child {
    pub(super) fn start(command: &mut Command) -> Self {
        let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary runs");
        let messages = Arc::new(AtomicUsize::new(0));
        let said = Arc::new(Mutex::new(String::new()));
        let output = BufReader::new(child.stdout.take().expect("it is piped"));
        let count = messages.clone();
        let follow = move || {
            for line in output.lines().map_while(Result::ok) {
                let line: serde_json::Value =
                    serde_json::from_str(&line).expect("progress is JSON");
                let batch = line["numInputRows"].as_u64().expect("a batch has a size");
                count.fetch_add(
                    usize::try_from(batch).expect("a batch is small"),
                    Ordering::SeqCst,
                );
            }
        };
        let mut errors = child.stderr.take().expect("it is piped");
        let keep = said.clone();
        let listen = move || {
            let mut text = String::new();
            let _ = errors.read_to_string(&mut text);
            *keep.lock().expect("nobody panics with it") = text;
        };
        let readers = vec![std::thread::spawn(follow), std::thread::spawn(listen)];
        Self {
            child,
            messages,
            said,
            readers,
        }
    }

    /// How many messages it has finished: their rows are acknowledged, their letters kept.
    pub(super) fn messages(&self) -> usize {
        self.messages.load(Ordering::SeqCst)
    }

    pub(super) fn kill(&mut self) {
        self.child.kill().expect("it runs");
        self.wait();
    }

    /// Asks it to end as an operator would; its exit code.
    pub(super) fn stop(&mut self) -> Option<i32> {
        signal(&self.child, "TERM");
        self.wait()
    }

    pub(super) fn wait(&mut self) -> Option<i32> {
        let status = self.child.wait().expect("it is our child");
        for reader in self.readers.drain(..) {
            reader.join().expect("its output is as it must be");
        }
        status.code()
    }

    /// What it said on standard error, once it has ended.
    pub(super) fn said(&self) -> String {
        self.said.lock().expect("nobody panics with it").clone()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
