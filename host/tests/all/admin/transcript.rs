//! The swap that the README shows, typed in beside a running demo.

use std::os::unix::fs::symlink;

use super::*;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// What a line says, whatever its numbers, names and digests are: its first words.
fn gist(line: &str) -> String {
    const WORDS: usize = 2;
    let word = |word: &str| {
        let word = word.split('=').next().unwrap_or(word).trim_end_matches(':');
        let is_number = |word: &str| word.starts_with(|first: char| first.is_ascii_digit());
        match is_number(word) {
            true => "0".to_owned(),
            false => word.to_owned(),
        }
    };
    let words = line.split_whitespace().take(WORDS).map(word);
    words.collect::<Vec<_>>().join(" ")
}

/// The commands of the chapter, each with the lines that it shows.
fn shown() -> Vec<(String, Vec<String>)> {
    let readme = std::fs::read_to_string(format!("{ROOT}/README.md")).unwrap();
    let (_, chapter) = readme
        .split_once("\n## Change it while it works\n")
        .expect("the README has the chapter");
    let block = chapter.split("\n```").nth(1).expect("it has a block");
    let mut shown: Vec<(String, Vec<String>)> = Vec::new();
    for line in block.lines().skip(1) {
        match (line.strip_prefix("$ "), shown.last_mut()) {
            (Some(command), _) => shown.push((command.to_owned(), Vec::new())),
            (None, Some((_, lines))) => lines.push(line.to_owned()),
            (None, None) => panic!("{line} comes before a command"),
        }
    }
    shown
}

#[test]
fn the_swap_of_the_readme_goes_as_it_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    symlink(Path::new(ROOT).join("data"), folder.path().join("data")).unwrap();
    let mut demo = host();
    demo.current_dir(folder.path())
        .args(["demo", "--admin", "127.0.0.1:0"])
        .env("SLUICE_LOG", "info")
        .env("XDG_RUNTIME_DIR", &run);
    let running = Running::start(&mut demo);
    wait_until("messages", || {
        let scrape = Scrape::parse(&get(&running.address, "/metrics").1);
        scrape.sum("sluice_messages_written_total") > 5_000.0
    });
    let host = host();
    let binary = Path::new(host.get_program()).parent().unwrap();
    let path = format!("{}:{}", binary.display(), std::env::var("PATH").unwrap());
    for (command, lines) in shown() {
        let mut shell = Command::new("bash");
        shell.args(["-euc", &command]).current_dir(folder.path());
        shell.env("PATH", &path).env("USER", "ada");
        shell.env("XDG_RUNTIME_DIR", &run).stdin(Stdio::null());
        let output = shell.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command}: {said}{error}");
        let expected: Vec<_> = lines.iter().map(|line| gist(line)).collect();
        let got: Vec<_> = said.lines().map(gist).collect();
        assert_eq!(got, expected, "{command}:\n{said}");
    }
}
