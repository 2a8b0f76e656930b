//! A server's address of a test's own, behind which nobody is any more when the test says so.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

pub(super) struct Forwarder {
    address: String,
    fault: Arc<Fault>,
}

#[derive(Default)]
struct Fault {
    is_hole: AtomicBool,
    is_cut: AtomicBool,
    swallowed: AtomicUsize,
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
                if shared.is_cut.load(Ordering::SeqCst) {
                    continue;
                }
                let server = TcpStream::connect(&server).expect("the server answers");
                shared.keep(&client);
                for (from, to) in [(&client, &server), (&server, &client)] {
                    let both = (from.try_clone(), to.try_clone());
                    let (Ok(from), Ok(to)) = both else { return };
                    let fault = shared.clone();
                    thread::spawn(move || pass(from, to, &fault));
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

    /// From now on ends every connection, until it is mended.
    pub(super) fn cut(&self) {
        self.fault.is_cut.store(true, Ordering::SeqCst);
        for connection in self
            .fault
            .connections
            .lock()
            .expect("nobody panics with it")
            .drain(..)
        {
            let _ = connection.shutdown(Shutdown::Both);
        }
    }

    /// From now on passes on again what is new.
    pub(super) fn mend(&self) {
        self.fault.is_cut.store(false, Ordering::SeqCst);
    }

    /// How many bytes were taken and not passed on.
    pub(super) fn swallowed(&self) -> usize {
        self.fault.swallowed.load(Ordering::SeqCst)
    }
}

impl Fault {
    fn keep(&self, connection: &TcpStream) {
        let connection = connection.try_clone().expect("there are files left");
        let mut connections = self.connections.lock().expect("nobody panics with it");
        connections.push(connection);
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, fault: &Fault) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        if fault.is_hole.load(Ordering::SeqCst) {
            fault.swallowed.fetch_add(length, Ordering::SeqCst);
        } else if to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}
