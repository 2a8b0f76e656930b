//! The admin address: whether a pipeline lives, is ready, and what it has done, over HTTP.
//!
//! It answers and changes nothing. A browser cannot be made to read it for a foreign page: who asks
//! must know it by its address, or by a name that was given to it.

mod notice;

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use http::uri::{Authority, Uri};
use httparse::{Header, Request, Status};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use super::board::Board;
use super::metrics;

pub use notice::Notice;

/// How many ports after the one that was asked for are tried, where that is taken.
const PORTS_MAX: u16 = 100;
/// How many are answered at a time; others wait.
const CONNECTIONS_MAX: usize = 32;
/// How long all of a request may take, its answer included.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// How large a request's head may be, and how much after it is thrown away.
const HEAD_BYTES_MAX: usize = 16 << 10;
const BODY_BYTES_MAX: u64 = 64 << 10;
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
            listener,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers what `board` knows, until the process ends.
    ///
    /// # Errors
    /// If the system gives no thread, or no way to wait for connections.
    pub fn serve(self, board: Arc<Board>) -> io::Result<()> {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_io().enable_time().build()?;
        let thread = std::thread::Builder::new().name("admin".to_owned());
        thread.spawn(move || runtime.block_on(self.accept(board)))?;
        Ok(())
    }

    async fn accept(self, board: Arc<Board>) {
        let Ok(listener) = tokio::net::TcpListener::from_std(self.listener) else {
            return;
        };
        let asked = Arc::new(Asked {
            board,
            address: self.address.ip(),
            names: self.names,
        });
        let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        while let Ok(permit) = connections.clone().acquire_owned().await {
            let Ok((stream, _)) = listener.accept().await else {
                sleep(ACCEPT_AGAIN).await;
                continue;
            };
            let asked = asked.clone();
            tokio::spawn(async move {
                // Who asks too slowly, or goes away, has only harmed himself.
                let _ = timeout(ANSWER_MAX, talk(stream, &asked)).await;
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
async fn talk(mut stream: TcpStream, asked: &Asked) -> io::Result<()> {
    let mut head = Vec::new();
    let answer = loop {
        if stream.read_buf(&mut head).await? == 0 {
            return Ok(());
        }
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut request = Request::new(&mut headers);
        break match request.parse(&head) {
            Ok(Status::Complete(_)) => asked.answer(&request),
            Ok(Status::Partial) if head.len() < HEAD_BYTES_MAX => continue,
            Ok(Status::Partial) | Err(httparse::Error::TooManyHeaders) => {
                let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
                Answer::text(status, "such a head is too large\n")
            }
            Err(error) => Answer::text(StatusCode::BAD_REQUEST, format!("{error}\n")),
        };
    };
    stream.write_all(answer.written().as_bytes()).await?;
    stream.shutdown().await?;
    // A connection that is closed before its body is read takes the answer with it.
    let mut rest = stream.take(BODY_BYTES_MAX);
    tokio::io::copy(&mut rest, &mut tokio::io::sink()).await?;
    Ok(())
}

/// An answer, as HTTP has it.
struct Answer {
    status: StatusCode,
    kind: &'static str,
    body: String,
    has_body: bool,
}

impl Answer {
    fn text(status: StatusCode, text: impl Into<String>) -> Self {
        let (kind, body) = ("text/plain; charset=utf-8", text.into());
        Self {
            status,
            kind,
            body,
            has_body: true,
        }
    }

    fn of_kind(kind: &'static str, body: String) -> Self {
        let answer = Self::text(StatusCode::OK, body);
        Self { kind, ..answer }
    }

    fn written(&self) -> String {
        let (status, kind, length) = (self.status, self.kind, self.body.len());
        let allow = match status {
            StatusCode::METHOD_NOT_ALLOWED => "allow: GET, HEAD\r\n",
            _ => "",
        };
        let body = if self.has_body { &self.body } else { "" };
        format!(
            "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\
             cache-control: no-store\r\n{allow}connection: close\r\n\r\n{body}"
        )
    }
}

/// What is asked, and by which names.
struct Asked {
    board: Arc<Board>,
    address: IpAddr,
    names: Vec<String>,
}

const ROUTES: &str = "/livez\n/readyz\n/metrics\n/api/v1/progress\n";

impl Asked {
    fn answer(&self, request: &Request<'_, '_>) -> Answer {
        let uri = request.path.and_then(|target| target.parse::<Uri>().ok());
        let Some(uri) = uri else {
            return Answer::text(StatusCode::BAD_REQUEST, "that is no path\n");
        };
        if !self.is_known_by(&uri, request.headers) {
            let reason = "this host is not known by that name: ask by its address, or name it in \
                          `hosts` of [admin]\n";
            return Answer::text(StatusCode::FORBIDDEN, reason);
        }
        match request.method {
            Some("GET") => self.get(uri.path()),
            Some("HEAD") => Answer {
                has_body: false,
                ..self.get(uri.path())
            },
            Some(_) | None => {
                let reason = "there is nothing to change here\n";
                Answer::text(StatusCode::METHOD_NOT_ALLOWED, reason)
            }
        }
    }

    fn get(&self, path: &str) -> Answer {
        match path {
            "/" => Answer::text(StatusCode::OK, ROUTES),
            "/livez" => Answer::text(StatusCode::OK, "alive\n"),
            "/readyz" => self.ready(),
            "/metrics" => Answer::of_kind(metrics::CONTENT_TYPE, self.board.metrics()),
            "/api/v1/progress" => {
                let progress = format!("{}\n", self.board.progress());
                Answer::of_kind("application/json", progress)
            }
            _ => Answer::text(StatusCode::NOT_FOUND, format!("there are only\n{ROUTES}")),
        }
    }

    fn ready(&self) -> Answer {
        let reasons = self.board.reasons();
        if reasons.is_empty() {
            return Answer::text(StatusCode::OK, "ready\n");
        }
        let text = format!("not ready\n{}\n", reasons.join("\n"));
        Answer::text(StatusCode::SERVICE_UNAVAILABLE, text)
    }

    /// Whether the name that a request was sent to is ours. A page of another name, made to lead
    /// here, would still ask by its own.
    fn is_known_by(&self, uri: &Uri, headers: &[Header<'_>]) -> bool {
        let mut hosts = headers
            .iter()
            .filter(|header| header.name.eq_ignore_ascii_case("host"));
        let (Some(host), None) = (hosts.next(), hosts.next()) else {
            return false;
        };
        let Ok(host) = Authority::try_from(host.value) else {
            return false;
        };
        let target = uri.authority().unwrap_or(&host);
        [target, &host].iter().all(|asked| {
            let name = asked.host().trim_start_matches('[').trim_end_matches(']');
            match name.parse::<IpAddr>() {
                // Which of them are its own is not known: it listens at all.
                Ok(_) if self.address.is_unspecified() => true,
                Ok(ip) => ip == self.address,
                Err(_) => self.names.contains(&name.to_lowercase()),
            }
        })
    }
}

#[cfg(test)]
mod tests;
