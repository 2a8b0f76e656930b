//! Whether somebody listens at an address, and whether soon.

use std::io::ErrorKind;
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use super::report::Finding;

/// How long a connection may take to come about.
const CONNECT_MAX: Duration = Duration::from_millis(1_500);

/// The addresses where somebody listens, and a finding for each of the others; none, if nobody
/// listens anywhere.
pub(super) fn reached(
    subject: &str,
    addresses: &[String],
    port: u16,
    way_out: &str,
    findings: &mut Vec<Finding>,
) -> Option<String> {
    let (reached, missed): (Vec<_>, Vec<_>) = reach(addresses, port)
        .into_iter()
        .partition(|(_, connected)| connected.is_ok());
    for (address, connected) in missed {
        let result = format!("{address}: {}", connected.err().unwrap_or_default());
        findings.push(if reached.is_empty() {
            Finding::failed(subject, result, way_out)
        } else {
            Finding::warning(subject, result, "the host goes on with the others")
        });
    }
    let reached: Vec<String> = reached.into_iter().map(|(address, _)| address).collect();
    (!reached.is_empty()).then(|| reached.join(", "))
}

/// Connects to each address, side by side: its own words where that fails. An address without a port
/// gets the usual one.
fn reach(addresses: &[String], port: u16) -> Vec<(String, Result<(), String>)> {
    std::thread::scope(|scope| {
        let connect = |address: &String| {
            let address = with_port(address, port);
            let found = address.clone();
            (address, scope.spawn(move || connect(&found)))
        };
        let connecting: Vec<_> = addresses.iter().map(connect).collect();
        connecting
            .into_iter()
            .map(|(address, found)| (address, found.join().expect("connecting does not panic")))
            .collect()
    })
}

fn with_port(address: &str, port: u16) -> String {
    let address = address.trim();
    // librdkafka takes a protocol before the address.
    let address = address.split_once("://").map_or(address, |(_, rest)| rest);
    if address
        .rsplit_once(':')
        .is_some_and(|(_, port)| port.parse::<u16>().is_ok())
    {
        return address.to_owned();
    }
    format!("{address}:{port}")
}

fn connect(address: &str) -> Result<(), String> {
    let until = Instant::now() + CONNECT_MAX;
    let found = address.to_socket_addrs();
    let found = found.map_err(|_| "no such host is known".to_owned())?;
    let mut last = "no such host is known".to_owned();
    for place in found {
        let rest = until.saturating_duration_since(Instant::now());
        match TcpStream::connect_timeout(&place, rest.max(Duration::from_millis(1))) {
            Ok(_) => return Ok(()),
            Err(error) => last = reason(&error),
        }
    }
    Err(last)
}

/// What the system says, and what it means.
fn reason(error: &std::io::Error) -> String {
    let kind = error.kind();
    if kind == ErrorKind::ConnectionRefused {
        return "nobody listens there (connection refused)".to_owned();
    }
    if kind == ErrorKind::TimedOut {
        return format!("no connection within {:.1} s", CONNECT_MAX.as_secs_f64());
    }
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_gets_the_usual_port() {
        for (given, expected) in [
            ("localhost", "localhost:9042"),
            (" localhost:1 ", "localhost:1"),
            ("SASL_SSL://k1:9093", "k1:9093"),
            ("[::1]:7", "[::1]:7"),
            ("[::1]", "[::1]:9042"),
        ] {
            assert_eq!(with_port(given, 9042), expected, "{given}");
        }
    }

    /// Listens at a free port until it is dropped.
    fn listening() -> (std::net::TcpListener, String) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap().to_string();
        (listener, at)
    }

    #[test]
    fn each_address_has_its_own_result() {
        let (_listener, open) = listening();
        let (_, closed) = listening();
        let found = reach(
            &[open.clone(), closed, "no.such.host.invalid".to_owned()],
            1,
        );
        assert_eq!(found[0], (open, Ok(())));
        assert!(found[1].1.as_ref().unwrap_err().contains("refused"));
        assert!(found[2].1.as_ref().unwrap_err().contains("no such host"));
    }
}
