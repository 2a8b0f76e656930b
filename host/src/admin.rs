//! The admin address: how a pipeline is, over HTTP; and where a person changes how it runs.
//!
//! Whoever reaches it may read it, but a browser cannot be made to do so for a foreign page: who asks
//! must know it by its address, or by a name that was given to it. Who changes anything must also
//! know the token of this run.

mod answer;
mod asked;
pub mod client;
mod desk;
mod notice;
mod stream;
mod token;

use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use httparse::{Request, Status};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use crate::telemetry::{Board, Run};
use answer::Answer;
use asked::{Asked, Step};
use desk::Reply;
pub use desk::{Desk, Group, Running, Swaps};
pub use notice::Notice;
use stream::Stream;
use token::Token;

/// How many ports after the one that was asked for are tried, where that is taken.
const PORTS_MAX: u16 = 100;
/// How many are answered at a time; others wait.
const CONNECTIONS_MAX: usize = 32;
/// How long all of a request may take, its answer included.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// How large a request's head may be, and how much after what is read of it is thrown away.
const HEAD_BYTES_MAX: usize = 16 << 10;
const REST_BYTES_MAX: u64 = 64 << 10;
const HEADERS_MAX: usize = 64;
/// How long to wait when the system has no connection to give.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// Why the address cannot be listened at.
#[derive(Debug, thiserror::Error)]
#[error("the admin address {address}: {source}; give another with --admin, or --admin off")]
pub struct Error {
    /// The address that was asked for.
    pub address: String,
    /// What the system says.
    pub source: io::Error,
}

/// An address that is listened at.
#[derive(Debug)]
pub struct Admin {
    listener: TcpListener,
    address: SocketAddr,
    /// By which names it may be asked for.
    names: Vec<String>,
    token: Token,
}

impl Admin {
    /// Listens at `HOST:PORT`, or, where that is taken, at the next free port; port 0 is any free
    /// one. `names` are those that it may be asked by, besides HOST and `localhost`.
    ///
    /// # Errors
    /// If the address is not ours, or too many ports are taken.
    pub fn open(address: &str, names: &[String]) -> Result<Self, Error> {
        let failed = |source| Error {
            address: address.to_owned(),
            source,
        };
        let listener = listen(address).map_err(failed)?;
        let own = address.rsplit_once(':').map_or(address, |(host, _)| host);
        let names = names.iter().map(String::as_str);
        let names = names.chain([own, "localhost"]).map(str::to_lowercase);
        Ok(Self {
            address: listener.local_addr().map_err(failed)?,
            names: names.collect(),
            token: Token::random(),
            listener,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Tells in a directory where this is, and what one must know to change anything. It is told as
    /// long as the notice is kept.
    ///
    /// # Errors
    /// If the directory cannot be made, or not be written.
    pub fn post(&self, directory: &Path, run: &Run) -> io::Result<Notice> {
        Notice::post(directory, run, self.address, &self.token)
    }

    /// Answers what `board` knows, and does what is asked at the `desk`, until the process ends.
    ///
    /// # Errors
    /// If the system gives no thread, or no way to wait for connections.
    pub fn serve(self, board: Arc<Board>, desk: Arc<Desk>) -> io::Result<()> {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_io().enable_time().build()?;
        let thread = std::thread::Builder::new().name("admin".to_owned());
        thread.spawn(move || runtime.block_on(self.accept(board, desk)))?;
        Ok(())
    }

    async fn accept(self, board: Arc<Board>, desk: Arc<Desk>) {
        let Ok(listener) = tokio::net::TcpListener::from_std(self.listener) else {
            return;
        };
        let asked = Arc::new(Asked {
            board,
            desk,
            token: self.token,
            address: self.address.ip(),
            names: self.names,
        });
        let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        while let Ok(permit) = connections.clone().acquire_owned().await {
            let Ok((stream, peer)) = listener.accept().await else {
                sleep(ACCEPT_AGAIN).await;
                continue;
            };
            let asked = asked.clone();
            tokio::spawn(async move {
                // Who asks too slowly, or goes away, has only harmed himself.
                let _ = attend(stream, peer, &asked).await;
                drop(permit);
            });
        }
    }
}

fn listen(address: &str) -> io::Result<TcpListener> {
    let mut resolved = address.to_socket_addrs()?;
    let nowhere = || io::Error::new(io::ErrorKind::NotFound, "it leads nowhere");
    let mut address = resolved.next().ok_or_else(nowhere)?;
    let last = address.port().saturating_add(PORTS_MAX);
    loop {
        match TcpListener::bind(address) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && address.port() < last => {
                address.set_port(address.port() + 1);
            }
            bound => {
                let listener = bound?;
                listener.set_nonblocking(true)?;
                return Ok(listener);
            }
        }
    }
}

/// Answers one request; the connection ends with it.
async fn attend(mut stream: TcpStream, peer: SocketAddr, asked: &Asked) -> io::Result<()> {
    match timeout(ANSWER_MAX, talk(&mut stream, peer, asked)).await?? {
        Some(lines) => lines.pass_on(stream).await,
        None => Ok(()),
    }
}

/// Answers a request, or gives what is to be passed on.
async fn talk(
    stream: &mut TcpStream,
    peer: SocketAddr,
    asked: &Asked,
) -> io::Result<Option<Stream>> {
    let mut received = Vec::new();
    let (looked, head) = loop {
        if stream.read_buf(&mut received).await? == 0 {
            return Ok(None);
        }
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut request = Request::new(&mut headers);
        break match request.parse(&received) {
            Ok(Status::Complete(head)) => (asked.look(&request), head),
            Ok(Status::Partial) if received.len() < HEAD_BYTES_MAX => continue,
            Ok(Status::Partial) | Err(httparse::Error::TooManyHeaders) => {
                let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
                (Err(Answer::text(status, "such a head is too large\n")), 0)
            }
            Err(error) => {
                let answer = Answer::text(StatusCode::BAD_REQUEST, format!("{error}\n"));
                (Err(answer), 0)
            }
        };
    };
    let answer = match looked {
        Ok(Step::Answer(answer)) => answer,
        Ok(Step::Change(verb, length)) => {
            while received.len() < head + length {
                if stream.read_buf(&mut received).await? == 0 {
                    return Ok(None);
                }
            }
            let body = &received[head..head + length];
            match asked.desk.change(verb, body, peer) {
                Reply::Whole(answer) => answer,
                Reply::Stream(lines) => return Ok(Some(lines)),
            }
        }
        Err(answer) => {
            tracing::info!(%peer, status = answer.status.as_u16(), "refused at the admin address");
            answer
        }
    };
    stream.write_all(answer.written().as_bytes()).await?;
    stream.shutdown().await?;
    // A connection that is closed before its body is read takes the answer with it.
    let mut rest = stream.take(REST_BYTES_MAX);
    tokio::io::copy(&mut rest, &mut tokio::io::sink()).await?;
    Ok(None)
}

#[cfg(test)]
mod tests;
