//! The files that the quickstart reads: a private copy of what it was given, so that it can change
//! one of them without touching anything of its user's.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use tempfile::TempDir;

/// The most that is copied.
const FILES: usize = 5_000;
const BYTES: u64 = 256 << 20;

/// A copy of a file or a directory, removed when this is dropped.
#[derive(Debug)]
pub struct Tree {
    root: PathBuf,
    copy: TempDir,
    /// The paths in it, in order.
    pub files: Vec<String>,
    bytes: u64,
    /// How many files there were that are not in it, since it is full or they can't be read.
    left_out: usize,
    /// Stands for the state of the original: its place, and every file's name, length and time of
    /// change. Another run has the same for the same files, and another for other ones.
    pub version: String,
}

impl Tree {
    /// Copies the file, or the files below the directory, at `root`. Hidden ones are left out, and so
    /// is everything named `target`, and everything that is neither a file nor a directory.
    ///
    /// # Errors
    ///
    /// When `root` can't be read, or the temporary directory not be written.
    pub fn copy(root: &Path) -> io::Result<Self> {
        let root = root.canonicalize()?;
        let mut found = Vec::new();
        find(&root, &mut found)?;
        found.sort();
        let mut tree = Self {
            copy: tempfile::Builder::new().prefix("quickstart-").tempdir()?,
            root,
            files: Vec::new(),
            bytes: 0,
            left_out: 0,
            version: String::new(),
        };
        let mut version = blake3::Hasher::new();
        version.update(tree.root.as_os_str().as_encoded_bytes());
        for path in found {
            let metadata = path.metadata()?;
            let full = tree.files.len() == FILES || tree.bytes + metadata.len() > BYTES;
            let Some(bytes) = (!full).then(|| fs::read(&path).ok()).flatten() else {
                tree.left_out += 1;
                continue;
            };
            // A single file has nothing left below itself.
            let below = path.strip_prefix(tree.root.parent().unwrap_or(&tree.root));
            let name = below.unwrap_or(&path).to_string_lossy().into_owned();
            let place = tree.path(&name);
            fs::create_dir_all(place.parent().unwrap_or(&place))?;
            // Not fs::copy, which would also copy that a file can't be written.
            fs::write(&place, bytes)?;
            let modified = metadata.modified()?.duration_since(UNIX_EPOCH);
            let modified = modified.unwrap_or_default().as_nanos();
            for part in [name.as_bytes(), &[0], &modified.to_le_bytes()] {
                version.update(part);
            }
            version.update(&metadata.len().to_le_bytes());
            tree.bytes += metadata.len();
            tree.files.push(name);
        }
        version.finalize().to_hex()[..16].clone_into(&mut tree.version);
        Ok(tree)
    }

    /// Where the copy of a file is.
    pub fn path(&self, name: &str) -> PathBuf {
        self.copy.path().join(name)
    }
}

impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (files, kib, root) = (self.files.len(), self.bytes >> 10, self.root.display());
        write!(f, "{files} files, {kib} KiB, of {root}")?;
        if self.left_out > 0 {
            write!(
                f,
                "; {} more are left out: too much, or not to be read",
                self.left_out
            )?;
        }
        Ok(())
    }
}

fn find(path: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
    let kind = path.symlink_metadata()?.file_type();
    if kind.is_file() {
        found.push(path.to_owned());
    } else if kind.is_dir() {
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            let name = entry.file_name();
            if name != "target" && !name.as_encoded_bytes().starts_with(b".") {
                find(&entry.path(), found)?;
            }
        }
    }
    Ok(())
}
