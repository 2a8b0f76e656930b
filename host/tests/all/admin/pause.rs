//! A running host takes nothing while somebody has paused it.

use super::*;

/// Asks the host of a folder.
pub(crate) fn ask_host(folder: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let mut asking = host();
    asking
        .args(arguments)
        .env("XDG_RUNTIME_DIR", folder.join("run"))
        .env("USER", "ada");
    let output = asking.output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.code(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

#[test]
fn a_paused_host_takes_nothing_until_it_is_resumed() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (code, said) = ask_host(folder, &["pause"]);
    assert_eq!(code, Some(69), "{said}");
    assert!(
        said.contains("no host has told in ") && said.contains("--admin"),
        "{said}"
    );

    let mut host = endless(folder, "127.0.0.1:0");
    let mut running = Running::start(host.env("XDG_RUNTIME_DIR", folder.join("run")));
    let address = running.address.clone();
    wait_until("the host to be ready", || get(&address, "/readyz").0 == 200);
    let (code, said) = ask_host(folder, &["pause", "--group", "sluice-listening-history"]);
    assert_eq!(code, Some(0), "{said}");
    let paused = said.trim().split_once(": ").unwrap().1;
    assert!(paused.starts_with("paused by ada since 2"), "{said}");
    let text = BATCH.map(|line| format!("{line}\n")).concat();
    let input = running.input.as_mut().unwrap();
    // The worker waits for a line, and that is its last batch.
    input.write_all(text.as_bytes()).unwrap();
    let not_ready = (503, format!("not ready\npause: {paused}\n"));
    wait_until("it to say so", || get(&address, "/readyz") == not_ready);

    input.write_all(text.as_bytes()).unwrap();
    let scrape = || Scrape::parse(&get(&address, "/metrics").1);
    wait_until("some time to pass", || {
        let waited = r#"sluice_backpressure_seconds_total{room="pause"}"#;
        scrape().value(waited).is_some_and(|seconds| seconds > 0.5)
    });
    assert_eq!(scrape().sum("sluice_batches_total"), 1.0);
    // Asked by its address, it takes the token of its notice as well.
    let (code, said) = ask_host(folder, &["resume", "--admin", &address]);
    assert_eq!(
        (code, &*said),
        (Some(0), &*format!("{address}: going on\n"))
    );
    wait_until("the batch", || scrape().sum("sluice_batches_total") == 2.0);
    assert_eq!(get(&address, "/readyz").0, 200);
    running.finish();
}

/// Whoever does not know the token is told how to come by it.
#[test]
fn who_may_not_is_told_the_way_out() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let running = Running::start(&mut endless(folder.path(), "127.0.0.1:0"));
    let closed = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    for (address, code, words) in [
        (&*running.address, 1, "SLUICE_ADMIN_TOKEN"),
        (&*closed.to_string(), 69, "refused"),
        ("nowhere", 69, "the host at nowhere: "),
    ] {
        let (got, said) = ask_host(other.path(), &["pause", "--admin", address]);
        assert_eq!(got, Some(code), "{said}");
        assert!(said.contains(words), "{said}");
    }
    assert_eq!(get(&running.address, "/livez").0, 200);
}
