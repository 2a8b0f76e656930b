//! An address of a test's own for Cassandra, behind which is what the test says: nobody, somebody
//! who never answers, or somebody who refuses some of what is written.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// A frame of the protocol, version 4: version, flags, stream (2), opcode, length (4); then its body.
const HEADER: usize = 9;
const ERROR: u8 = 0x00;
const EXECUTE: u8 = 0x0a;
const BATCH: u8 = 0x0d;
/// The code and the text of a refusal for now.
const OVERLOADED: &[u8] = b"\0\0\x10\x01\0\x04busy";

pub(super) struct Forwarder {
    address: String,
    fault: Arc<Fault>,
}

#[derive(Default)]
struct Fault {
    is_hole: AtomicBool,
    is_cut: AtomicBool,
    swallowed: AtomicUsize,
    /// How many of ten writes are refused.
    refused_of_ten: AtomicUsize,
    writes: AtomicUsize,
    refused: AtomicUsize,
    connections: Mutex<Vec<TcpStream>>,
}

impl Forwarder {
    /// Passes on every connection to a server, until the test ends.
    pub(super) fn to(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("there is a port");
        let address = listener.local_addr().expect("it is bound").to_string();
        let fault = Arc::new(Fault::default());
        let (server, shared) = (server.to_owned(), fault.clone());
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if !shared.is_cut.load(Ordering::SeqCst) {
                    let server = TcpStream::connect(&server).expect("the server answers");
                    forward(&client, &server, &shared).expect("there are files left");
                }
            }
        });
        Self { address, fault }
    }

    /// Where it listens: `host:port`.
    pub(super) fn address(&self) -> String {
        self.address.clone()
    }

    /// From now on takes everything and passes on nothing, in both directions.
    pub(super) fn swallow(&self) {
        self.fault.is_hole.store(true, Ordering::SeqCst);
    }

    /// How many bytes were taken and not passed on.
    pub(super) fn swallowed(&self) -> usize {
        self.fault.swallowed.load(Ordering::SeqCst)
    }

    /// From now on refuses so many of ten writes as overloaded.
    pub(super) fn refuse(&self, of_ten: usize) {
        self.fault.refused_of_ten.store(of_ten, Ordering::SeqCst);
    }

    /// How many writes came, and how many of them were refused.
    pub(super) fn writes(&self) -> (usize, usize) {
        let fault = &self.fault;
        let counts = [&fault.writes, &fault.refused].map(|count| count.load(Ordering::SeqCst));
        counts.into()
    }

    /// From now on ends every connection, until it is mended.
    pub(super) fn cut(&self) {
        self.fault.is_cut.store(true, Ordering::SeqCst);
        let mut connections = self
            .fault
            .connections
            .lock()
            .expect("nobody panics with it");
        for connection in connections.drain(..) {
            let _ = connection.shutdown(Shutdown::Both);
        }
    }

    /// From now on passes on again what is new.
    pub(super) fn mend(&self) {
        self.fault.is_cut.store(false, Ordering::SeqCst);
    }
}

/// Frames in both directions, each by a thread.
fn forward(client: &TcpStream, server: &TcpStream, fault: &Arc<Fault>) -> io::Result<()> {
    let mut connections = fault.connections.lock().expect("nobody panics with it");
    connections.push(client.try_clone()?);
    // Who refuses a frame answers beside the server.
    let answers = Arc::new(Mutex::new(client.try_clone()?));
    let (mut asked, mut server) = (client.try_clone()?, server.try_clone()?);
    let (mut answered, both, shared) = (server.try_clone()?, answers.clone(), fault.clone());
    thread::spawn(move || {
        while let Ok(frame) = frame(&mut answered) {
            if !shared.swallows(&frame) && send(&both, &frame).is_err() {
                break;
            }
        }
    });
    let shared = fault.clone();
    thread::spawn(move || {
        while let Ok(frame) = frame(&mut asked) {
            let done = match shared.refusal(&frame) {
                _ if shared.swallows(&frame) => Ok(()),
                Some(refusal) => send(&answers, &refusal),
                None => server.write_all(&frame),
            };
            if done.is_err() {
                break;
            }
        }
        let _ = server.shutdown(Shutdown::Both);
    });
    Ok(())
}

fn frame(from: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut frame = vec![0; HEADER];
    from.read_exact(&mut frame)?;
    let length = u32::from_be_bytes(frame[5..].try_into().expect("a length is four bytes"));
    frame.resize(
        HEADER + usize::try_from(length).expect("a frame is small"),
        0,
    );
    from.read_exact(&mut frame[HEADER..])?;
    Ok(frame)
}

fn send(to: &Mutex<TcpStream>, frame: &[u8]) -> io::Result<()> {
    to.lock().expect("nobody panics with it").write_all(frame)
}

impl Fault {
    fn swallows(&self, frame: &[u8]) -> bool {
        let is_hole = self.is_hole.load(Ordering::SeqCst);
        if is_hole {
            self.swallowed.fetch_add(frame.len(), Ordering::SeqCst);
        }
        is_hole
    }

    /// The answer to a write that is not let through.
    fn refusal(&self, frame: &[u8]) -> Option<Vec<u8>> {
        if ![EXECUTE, BATCH].contains(&frame[4]) {
            return None;
        }
        let turn = self.writes.fetch_add(1, Ordering::SeqCst) * 7 % 10;
        if turn >= self.refused_of_ten.load(Ordering::SeqCst) {
            return None;
        }
        self.refused.fetch_add(1, Ordering::SeqCst);
        let length = u32::try_from(OVERLOADED.len()).expect("it is short");
        let header = [0x84, 0, frame[2], frame[3], ERROR];
        Some([&header[..], &length.to_be_bytes(), OVERLOADED].concat())
    }
}
