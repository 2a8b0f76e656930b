//! Requests as good and bad clients send them.

use std::io::{Read, Write};
use std::net::TcpStream;

use super::*;
use crate::telemetry::About;

mod changes;
mod offers;

fn served(address: &str, names: &[&str]) -> SocketAddr {
    opened(address, names, Arc::default()).0
}

/// Serves what `desk` can change; where, and with which token.
fn opened(address: &str, names: &[&str], desk: Arc<Desk>) -> (SocketAddr, String) {
    let board = Board::new(About {
        run: Run::new("group", "plays".into()),
        plugin: ["p", "1", "abc"],
        lookups: &[],
        requests: None,
        stop: Arc::default(),
    });
    let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
    let admin = Admin::open(address, &names).unwrap();
    let served = (admin.address(), admin.token.reveal().to_owned());
    admin.serve(Arc::new(board), desk).unwrap();
    served
}

/// Sends a request as it is; everything that comes back.
fn send(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(ANSWER_MAX * 3)).unwrap();
    // It may have been refused before it was read whole.
    let _ = stream.write_all(request.as_bytes());
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    answer
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or("nothing")
}

#[test]
fn routes_answer_and_change_nothing() {
    let address = served("127.0.0.1:0", &[]);
    for (request, code, words) in [
        ("GET /livez", "200", "alive\n"),
        ("HEAD /livez", "200", "\r\n\r\n"),
        ("GET /readyz", "503", "not ready\nstarting: "),
        ("GET /readyz?verbose", "503", "not ready\n"),
        ("GET /metrics", "200", "sluice_ready 0\n"),
        ("GET /api/v1/progress", "200", "null\n"),
        ("GET /", "200", "/readyz\n"),
        ("GET /api", "404", "there are only\nGET  /livez\n"),
        (
            "POST /api/v1/reboot",
            "404",
            "there are only\nGET  /livez\n",
        ),
        ("GET /api/v1/pause", "405", "allow: POST\r\n"),
        ("POST /livez", "405", "allow: GET, HEAD\r\n"),
        ("DELETE /api/v1/progress", "405", "nothing to change"),
    ] {
        let head =
            format!("{request} HTTP/1.1\r\nHost: {address}\r\nContent-Length: 4\r\n\r\nbody");
        let answer = send(address, &head);
        assert_eq!(status(&answer), code, "{request}: {answer}");
        assert!(answer.contains(words), "{request}: {answer}");
        assert!(answer.contains("cache-control: no-store"), "{answer}");
    }
}

/// A page that was made to lead here asks by its own name.
#[test]
fn it_answers_to_its_own_names_only() {
    let check = |listen: &str, hosts: &[&str], code: &str| {
        let address = served(listen, &["metrics.example"]);
        let near = SocketAddr::from(([127, 0, 0, 1], address.port()));
        for host in hosts {
            let answer = send(near, &format!("GET /livez HTTP/1.1\r\n{host}\r\n\r\n"));
            assert_eq!(status(&answer), code, "{listen} {host}: {answer}");
        }
    };
    let own = [
        "Host: 127.0.0.1",
        "Host: 127.0.0.1:1",
        "Host: localhost:9464",
        "Host: LOCALHOST",
        "Host: Metrics.Example:80",
    ];
    let foreign = [
        "Host: rebound.example:9464",
        "Host: 127.0.0.1.rebound.example",
        "Host: localhost.rebound.example",
        "Host: user@rebound.example",
        "Host: ",
        "Host: a b",
        "Host: 127.0.0.1\r\nHost: rebound.example",
        "X-Forwarded-Host: localhost",
    ];
    let others = ["Host: 10.0.0.7:9464", "Host: [fd00::7]"];
    check("127.0.0.1:0", &own, "200");
    check("localhost:0", &own[..3], "200");
    check("127.0.0.1:0", &foreign, "403");
    check("127.0.0.1:0", &others, "403");
    check("0.0.0.0:0", &own, "200");
    check("0.0.0.0:0", &others, "200");
    check("0.0.0.0:0", &foreign, "403");
}

/// The target of a request names a host as well, and that one counts, too.
#[test]
fn a_foreign_target_is_refused() {
    let address = served("127.0.0.1:0", &[]);
    for (target, code) in [("rebound.example", "403"), ("localhost", "200")] {
        let head = format!("GET http://{target}/livez HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert_eq!(status(&send(address, &head)), code, "{target}");
    }
}

#[test]
fn large_and_broken_requests_are_refused() {
    let address = served("127.0.0.1:0", &[]);
    let own = format!("GET /livez HTTP/1.1\r\nHost: {address}\r\n");
    let many = "X: y\r\n".repeat(HEADERS_MAX);
    let large = format!("X: {}\r\n", "y".repeat(2 * HEAD_BYTES_MAX));
    for (request, codes) in [
        (format!("{own}{many}\r\n"), ["431", "431"]),
        // The connection may be gone before the answer is read.
        (format!("{own}{large}\r\n"), ["431", "nothing"]),
        ("nonsense\r\n\r\n".to_owned(), ["400", "400"]),
    ] {
        let answer = send(address, &request);
        assert!(codes.contains(&status(&answer)), "{codes:?}: {answer}");
    }
    assert_eq!(status(&send(address, &format!("{own}\r\n"))), "200");
}

/// Who connects and says nothing is sent away, and others are answered.
#[test]
fn silent_clients_do_not_stay() {
    let address = served("127.0.0.1:0", &[]);
    let silent = (0..CONNECTIONS_MAX + 1).map(|_| TcpStream::connect(address).unwrap());
    let silent: Vec<_> = silent.collect();
    let head = format!("GET /livez HTTP/1.1\r\nHost: {address}\r\n\r\n");
    assert_eq!(status(&send(address, &head)), "200");
    drop(silent);
}

#[test]
fn a_taken_port_gives_the_next_free_one() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let asked = taken.local_addr().unwrap();
    let got = served(&asked.to_string(), &[]);
    assert_eq!(got.ip(), asked.ip());
    assert!(
        got.port() > asked.port() && got.port() - asked.port() <= PORTS_MAX,
        "{got}"
    );
}

#[test]
fn an_address_that_is_not_ours_is_an_error() {
    // Kept for documentation: no machine has it.
    let error = Admin::open("192.0.2.1:9464", &[]).unwrap_err().to_string();
    assert!(
        error.starts_with("the admin address 192.0.2.1:9464: "),
        "{error}"
    );
    assert!(error.contains("--admin off"), "{error}");
}
