//! Where a running host is found: a file that tells its admin address, which may not be the one that
//! was asked for, and its token.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde_json::json;

use super::token::Token;
use crate::telemetry::Run;

/// The file, which goes when this does. After a kill it stays: its reader asks whether its `pid`
/// still runs.
#[derive(Debug)]
pub struct Notice(PathBuf);

impl Notice {
    /// Puts `<group>-<pid>.json` into a directory, for its owner only.
    pub(super) fn post(
        directory: &Path,
        run: &Run,
        address: SocketAddr,
        token: &Token,
    ) -> io::Result<Self> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)?;
        let pid = std::process::id();
        let name = format!("{}-{pid}.json", file_name(&run.id));
        // Whoever reads it reads it whole.
        let draft = directory.join(format!("{name}.new"));
        match fs::remove_file(&draft) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&draft)?;
        let told = json!({
            "address": address.to_string(),
            "group": run.id,
            "pid": pid,
            "runId": run.run,
            "token": token.reveal(),
            "topic": &*run.topic,
        });
        writeln!(file, "{told}")?;
        let path = directory.join(name);
        fs::rename(draft, &path)?;
        Ok(Self(path))
    }
}

impl Drop for Notice {
    fn drop(&mut self) {
        // It may be gone already, and nothing is to be done about it.
        let _ = fs::remove_file(&self.0);
    }
}

/// A group may be named with any letters, and a file with few; the group stands in it, too.
fn file_name(group: &str) -> String {
    let letter = |letter: char| match letter {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '_' | '.' => letter,
        _ => '_',
    };
    group.chars().map(letter).take(NAME_MAX).collect()
}

/// With the rest, well below the 255 bytes of a file's name.
const NAME_MAX: usize = 200;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn it_is_for_its_owner_and_as_long_as_it_is_true() {
        let folder = tempfile::tempdir().unwrap();
        let directory = folder.path().join("sluice");
        let address = "127.0.0.1:9465".parse().unwrap();
        let long = "g".repeat(300);
        for (group, name) in [
            ("sluice-spotify", "sluice-spotify"),
            ("../a b/ü", ".._a_b__"),
            (&*long, &long[..NAME_MAX]),
        ] {
            let run = Run::new(group, "plays".into());
            // What a killed process with this pid has left does not stand in its way.
            let name = format!("{name}-{}.json", std::process::id());
            fs::create_dir_all(&directory).unwrap();
            fs::write(directory.join(format!("{name}.new")), "half").unwrap();
            let notice = Notice::post(&directory, &run, address, &Token::random()).unwrap();
            let path = directory.join(name);
            let mode = fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
            let told: serde_json::Value =
                serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
            assert_eq!(
                (&told["address"], &told["group"]),
                (&"127.0.0.1:9465".into(), &group.into())
            );
            drop(notice);
            assert_eq!(fs::read_dir(&directory).unwrap().count(), 0);
        }
    }
}
