//! Asks a running host: the other end of the admin address.

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::path::Path;
use std::time::Duration;

use http::StatusCode;
use httparse::{Response, Status};
use serde_json::Value;

use super::HEADERS_MAX;

/// How long a connection, and the next line of an answer, is waited for. Where an answer takes longer,
/// the host sends an empty line now and then.
const CONNECT_MAX: Duration = Duration::from_secs(5);
const LINE_MAX: Duration = Duration::from_secs(30);

/// Why a host cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// None has told where it is.
    #[error(
        "{0}: start one, or name its address and token: --admin HOST:PORT, with the token in \
         SLUICE_ADMIN_TOKEN"
    )]
    Nobody(String),
    /// It is not clear which one is meant.
    #[error("several hosts are running; say which with --admin HOST:PORT\n{0}")]
    Several(String),
    /// It does not answer.
    #[error("the host at {address}: {source}")]
    Away {
        /// Its address.
        address: String,
        /// What the system says.
        source: io::Error,
    },
    /// It does not do what is asked.
    #[error("the host at {address}: {reason}")]
    Refused {
        /// Its address.
        address: String,
        /// As it says itself.
        reason: String,
    },
}

impl Error {
    /// Whether there is no host that would answer.
    pub fn is_away(&self) -> bool {
        matches!(self, Self::Nobody(_) | Self::Away { .. })
    }
}

/// What a host's notice tells.
#[derive(Clone, Debug)]
struct Told {
    address: String,
    group: String,
    pid: u64,
    topic: String,
    token: String,
}

/// A running host that can be asked.
#[derive(Debug)]
pub struct Client {
    address: String,
    token: String,
}

impl Client {
    /// The host at an address, or the one that runs for a group, or the only one there is; as their
    /// notices in a directory tell it. `token` is for an address without a notice.
    ///
    /// # Errors
    /// If there is none, or more than one.
    pub fn find(
        directory: Option<&Path>,
        (address, group): (Option<&str>, Option<&str>),
        token: Option<String>,
    ) -> Result<Self, Error> {
        let mut told = directory.map(notices).unwrap_or_default();
        told.retain(|told| {
            address.is_none_or(|address| told.address == address)
                && group.is_none_or(|group| told.group == group)
        });
        match (told.as_slice(), address) {
            ([only], _) => Ok(Self {
                address: only.address.clone(),
                token: token.unwrap_or_else(|| only.token.clone()),
            }),
            (_, Some(address)) => Ok(Self {
                address: address.to_owned(),
                token: token.unwrap_or_default(),
            }),
            ([], None) => Err(Error::Nobody(nobody(directory, group))),
            (several, None) => {
                let line = |told: &Told| {
                    let Told {
                        address,
                        group,
                        pid,
                        topic,
                        ..
                    } = told;
                    format!("  {address}  group {group}, topic {topic}, pid {pid}")
                };
                let lines: Vec<_> = several.iter().map(line).collect();
                Err(Error::Several(lines.join("\n")))
            }
        }
    }

    /// Where it is.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Asks what changes nothing: whether the answer is a good one, and its text.
    ///
    /// # Errors
    /// If the host is not there.
    pub fn get(&self, path: &str) -> Result<(bool, String), Error> {
        let (status, lines) = self.ask(&format!("GET {path}"), "")?;
        let lines = lines.map(|line| line.map(|line| line + "\n"));
        Ok((status.is_success(), lines.collect::<Result<_, _>>()?))
    }

    /// Asks for a change.
    ///
    /// # Errors
    /// If the host is not there, or refuses.
    pub fn post(&self, path: &str, body: &Value) -> Result<Lines, Error> {
        let (status, lines) = self.ask(&format!("POST {path}"), &body.to_string())?;
        if status.is_success() {
            return Ok(lines);
        }
        let reason = lines.collect::<Result<Vec<_>, _>>()?;
        let address = self.address.clone();
        let reason = match reason.is_empty() {
            true => status.to_string(),
            false => reason.join("\n"),
        };
        Err(Error::Refused { address, reason })
    }

    fn ask(&self, what: &str, body: &str) -> Result<(StatusCode, Lines), Error> {
        let answered = self.answered(what, body);
        answered.map_err(|source| away(&self.address, source))
    }

    fn answered(&self, what: &str, body: &str) -> io::Result<(StatusCode, Lines)> {
        let Self { address, token } = self;
        let mut stream = connect(address)?;
        stream.set_read_timeout(Some(LINE_MAX))?;
        stream.set_write_timeout(Some(LINE_MAX))?;
        let length = body.len();
        let request = format!(
            "{what} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes())?;
        let mut answer = BufReader::new(stream);
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            if answer.read_until(b'\n', &mut head)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut response = Response::new(&mut headers);
        let status = match response.parse(&head) {
            Ok(Status::Complete(_)) => response.code.and_then(|code| code.try_into().ok()),
            Ok(Status::Partial) | Err(_) => None,
        };
        let status = status.ok_or_else(|| io::Error::other("its answer is no HTTP"))?;
        let address = address.clone();
        Ok((status, Lines { answer, address }))
    }
}

/// The lines of an answer as they come. An empty one says that the host is there, and busy.
#[derive(Debug)]
pub struct Lines {
    answer: BufReader<TcpStream>,
    address: String,
}

impl Iterator for Lines {
    type Item = Result<String, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut line = String::new();
        match self.answer.read_line(&mut line) {
            Ok(0) => None,
            Ok(_) => Some(Ok(line.trim_end().to_owned())),
            Err(source) => Some(Err(away(&self.address, source))),
        }
    }
}

fn away(address: &str, source: io::Error) -> Error {
    let address = address.to_owned();
    Error::Away { address, source }
}

fn connect(address: &str) -> io::Result<TcpStream> {
    let mut failed = io::Error::new(io::ErrorKind::NotFound, "it leads nowhere");
    for address in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, CONNECT_MAX) {
            Ok(stream) => return Ok(stream),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

fn nobody(directory: Option<&Path>, group: Option<&str>) -> String {
    let of = group.map(|group| format!(" for group `{group}`"));
    let of = of.unwrap_or_default();
    match directory {
        Some(directory) => format!(
            "no host has told in {} that it runs{of}",
            directory.display()
        ),
        None => "hosts tell where they are in XDG_RUNTIME_DIR, which is not set".to_owned(),
    }
}

/// What the hosts that still run have told.
fn notices(directory: &Path) -> Vec<Told> {
    let files = fs::read_dir(directory).into_iter().flatten().flatten();
    let paths = files.map(|file| file.path());
    let paths = paths.filter(|path| path.extension().is_some_and(|ending| ending == "json"));
    let told = paths.filter_map(|path| read(&fs::read(path).ok()?));
    let mut told: Vec<_> = told.filter(|told| is_running(told.pid)).collect();
    told.sort_by(|a, b| (&a.group, a.pid).cmp(&(&b.group, b.pid)));
    told
}

fn read(notice: &[u8]) -> Option<Told> {
    let notice: Value = serde_json::from_slice(notice).ok()?;
    let text = |name: &str| notice[name].as_str().map(str::to_owned);
    Some(Told {
        address: text("address")?,
        group: text("group")?,
        pid: notice["pid"].as_u64()?,
        topic: text("topic")?,
        token: text("token")?,
    })
}

/// Whether a process runs, as far as that is known: a killed host leaves its notice.
fn is_running(pid: u64) -> bool {
    let processes = Path::new("/proc");
    !processes.join("self").exists() || processes.join(pid.to_string()).exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(hosts: &[(&str, &str, u32)], address: Option<&str>, group: Option<&str>) -> String {
        let folder = tempfile::tempdir().unwrap();
        for (group, address, pid) in hosts {
            let notice = serde_json::json!({
                "address": address, "group": group, "pid": pid, "topic": "plays", "token": "t",
            });
            let path = folder.path().join(format!("{group}-{pid}.json"));
            fs::write(path, notice.to_string()).unwrap();
        }
        fs::write(folder.path().join("half.json"), "{\"address\": ").unwrap();
        fs::write(folder.path().join("x-1.json.new"), "{}").unwrap();
        match Client::find(Some(folder.path()), (address, group), None) {
            Ok(client) => format!("{} {}", client.address, client.token),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_host_is_found_by_its_notice() {
        let (own, dead) = (std::process::id(), u32::MAX);
        let parent = std::os::unix::process::parent_id();
        let (one, gone) = (("a", "127.0.0.1:1", own), ("a", "127.0.0.1:2", dead));
        let (other, same) = (("b", "127.0.0.1:3", parent), ("a", "127.0.0.1:4", parent));
        for (hosts, address, group, expected) in [
            (&[one][..], None, None, "127.0.0.1:1 t"),
            (&[one, gone], None, None, "127.0.0.1:1 t"),
            (&[one, other], None, Some("b"), "127.0.0.1:3 t"),
            (&[one, other], Some("127.0.0.1:3"), None, "127.0.0.1:3 t"),
            (&[one], Some("10.0.0.7:9464"), None, "10.0.0.7:9464 "),
            (
                &[one, other],
                None,
                None,
                "  127.0.0.1:3  group b, topic plays, pid ",
            ),
            (&[one, same], None, Some("a"), "--admin HOST:PORT"),
            (&[gone], None, None, "no host has told in "),
            (
                &[one],
                None,
                Some("b"),
                "that it runs for group `b`: start one",
            ),
            (&[], None, None, "SLUICE_ADMIN_TOKEN"),
        ] {
            let found = found(hosts, address, group);
            assert!(found.contains(expected), "{found} instead of {expected}");
        }
        let error = Client::find(None, (None, None), None).unwrap_err();
        assert!(error.to_string().contains("XDG_RUNTIME_DIR") && error.is_away());
    }
}
