//! The journal's file: a header line, then a line for each tag and key that is queued. Appended to,
//! emptied once all of it was applied, and replaced as a whole where that is not enough.

use std::fmt::Write as _;
use std::fs::{self, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use xxhash_rust::xxh3::xxh3_64;

use super::Queue;
use crate::tag::Tag;
use crate::{Error, ErrorKind, Result};

/// What the first line begins with, whatever the format's version.
const MAGIC: &str = "cache-journal ";
/// The format's version.
const FORMAT: &str = "1";
/// More than any line of ours has: the longest key is a few hundred bytes.
const LONGEST: u64 = 16 << 10;
/// How long the cache that had the journal before may take to let go of it: one that was dropped a
/// moment ago is still writing.
const PATIENCE: Duration = Duration::from_secs(1);

/// The file, held open and locked.
#[derive(Debug)]
pub(super) struct File {
    path: PathBuf,
    header: String,
    /// Where lines are appended.
    tail: fs::File,
    /// What the file stands for, or should: a line is only appended for what is not covered yet.
    held: Queue,
    /// Whether the file is not what it should be, because the disk failed.
    behind: bool,
    /// Locked as long as this lives. A file of its own, since the journal's is replaced.
    _lock: fs::File,
}

impl File {
    /// Opens and locks it, and reads what is there.
    pub(super) fn open(path: &Path, namespace: &str) -> Result<Self> {
        // One name for one file: a path relative to a directory that the process may leave, or a
        // link, which a replacement would replace.
        let (path, given) = (absolute(path).map_err(|error| unusable(path, error))?, path);
        let there = match fs::metadata(&path) {
            Ok(found) if !found.is_file() => {
                return Err(foreign(given, "it is not a regular file"));
            }
            Ok(_) => true,
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(unusable(given, error)),
        };
        let lock = lock(&beside(&path, ".lock"), given)?;
        let header = format!("{MAGIC}{FORMAT} {namespace}\n");
        let (held, sound) = if there {
            let file = fs::File::open(&path).map_err(|error| unusable(given, error))?;
            let mut reader = BufReader::new(file);
            let new = check(&mut reader, given, &header)?;
            let (held, sound) = recover(reader).map_err(|error| unusable(given, error))?;
            (held, sound && !new)
        } else {
            (Queue::default(), false)
        };
        if !sound {
            replace(&path, &header, &held).map_err(|error| unusable(given, error))?;
        }
        let tail = append(&path).map_err(|error| unusable(given, error))?;
        Ok(Self {
            path,
            header,
            tail,
            held,
            behind: false,
            _lock: lock,
        })
    }

    pub(super) fn held(&self) -> &Queue {
        &self.held
    }

    pub(super) fn is_behind(&self) -> bool {
        self.behind
    }

    /// Brings the file up to date, and the disk with it: everything in it was applied if `cleared`,
    /// and `added` is queued since.
    ///
    /// # Errors
    ///
    /// What the disk said. The next change makes up for it.
    pub(super) fn change(&mut self, cleared: bool, added: Queue) -> io::Result<()> {
        if cleared {
            self.held = Queue::default();
        }
        let fresh = added.beyond(&self.held);
        let widened = self.held.join(fresh.clone());
        let outcome = if self.behind || widened {
            // A failed write may have left half a line behind, and what was widened would still be
            // there one by one: the file is bounded as the queue is.
            self.replace()
        } else {
            self.write(cleared, &fresh)
        };
        self.behind = outcome.is_err();
        outcome
    }

    fn write(&mut self, cleared: bool, fresh: &Queue) -> io::Result<()> {
        if cleared {
            self.tail.set_len(self.header.len() as u64)?;
        }
        if !fresh.is_empty() {
            self.tail.write_all(lines(fresh).as_bytes())?;
        } else if !cleared {
            // What is queued is there already, and on the disk.
            return Ok(());
        }
        self.tail.sync_data()
    }

    fn replace(&mut self) -> io::Result<()> {
        replace(&self.path, &self.header, &self.held)?;
        self.tail = append(&self.path)?;
        Ok(())
    }

    /// Has every write fail from here on, for tests: on a device that is always full.
    #[cfg(test)]
    pub(super) fn fill_the_disk(&mut self) {
        self.tail = append(Path::new("/dev/full")).expect("Linux has it");
    }
}

/// The path by its one absolute name.
fn absolute(path: &Path) -> io::Result<PathBuf> {
    if let Ok(there) = fs::canonicalize(path) {
        return Ok(there);
    }
    let path = std::path::absolute(path)?;
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => Ok(fs::canonicalize(parent)?.join(name)),
        _ => Ok(path),
    }
}

/// `journal.lock` for `journal`.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Options for a file that only its owner may read: keys and tags may tell of people.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

fn append(path: &Path) -> io::Result<fs::File> {
    OpenOptions::new().append(true).open(path)
}

fn lock(path: &Path, given: &Path) -> Result<fs::File> {
    let file = private()
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(|error| unusable(given, error))?;
    let begun = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if begun.elapsed() < PATIENCE => {
                std::thread::sleep(PATIENCE / 50);
            }
            Err(TryLockError::WouldBlock) => {
                return Err(Error::new(
                    ErrorKind::Conflict,
                    format!(
                        "journal(\"{}\") is another cache's, in this process or in another one: \
                         give each a path of its own, that stays the same over its restarts",
                        given.display()
                    ),
                ));
            }
            Err(TryLockError::Error(error)) => return Err(unusable(given, error)),
        }
    }
}

/// Reads the header; returns whether there is none yet.
fn check(reader: &mut impl BufRead, given: &Path, header: &str) -> Result<bool> {
    let mut line = Vec::new();
    reader
        .take(LONGEST)
        .read_until(b'\n', &mut line)
        .map_err(|error| unusable(given, error))?;
    if line.is_empty() || line == header.as_bytes() {
        return Ok(line.is_empty());
    }
    let text = std::str::from_utf8(&line).unwrap_or_default().trim_end();
    let why = match text
        .strip_prefix(MAGIC)
        .and_then(|rest| rest.split_once(' '))
    {
        Some((FORMAT, namespace)) => {
            format!("it belongs to the namespace {namespace:?}")
        }
        Some((format, _)) => format!("it is of format {format:?}, which this version can't read"),
        None => "it holds something else".to_owned(),
    };
    Err(foreign(given, &why))
}

/// Reads what is queued, and whether all of it could be read.
///
/// What ends the file and can't be read is a write that a crash cut short, and nobody was told that
/// it is kept. Before lines that can be read, it is damage, and what stood there is unknown: it
/// widens to the namespace.
fn recover(mut reader: impl BufRead) -> io::Result<(Queue, bool)> {
    let (mut held, mut torn, mut sound) = (Queue::default(), false, true);
    let mut line = Vec::new();
    loop {
        line.clear();
        if reader.by_ref().take(LONGEST).read_until(b'\n', &mut line)? == 0 {
            return Ok((held, sound && !torn));
        }
        let Some((tags, keys)) = parse(&line) else {
            torn = true;
            continue;
        };
        sound &= !torn;
        if std::mem::take(&mut torn) {
            held.add(&[Tag::namespace().as_str().to_owned()], &[]);
        }
        sound &= !held.add(&tags, &keys);
    }
}

/// A line: the checksum of the rest in hexadecimal, `t` or `k`, and the tag's or key's text.
fn put_line(out: &mut String, what: char, text: &str) {
    let text = text.replace('\\', "\\\\").replace('\n', "\\n");
    let rest = format!("{what} {text}");
    // Writing to a string does not fail.
    let _ = writeln!(out, "{:016x} {rest}", xxh3_64(rest.as_bytes()));
}

fn lines(queue: &Queue) -> String {
    let mut out = String::new();
    for tag in &queue.tags {
        put_line(&mut out, 't', tag);
    }
    for key in &queue.keys {
        put_line(&mut out, 'k', key);
    }
    out
}

/// The tag or the key of a line; `None` where it is not one of ours, or not all of it.
fn parse(line: &[u8]) -> Option<(Vec<String>, Vec<String>)> {
    let line = std::str::from_utf8(line).ok()?.strip_suffix('\n')?;
    let (checksum, rest) = line.split_once(' ')?;
    if checksum != format!("{:016x}", xxh3_64(rest.as_bytes())) {
        return None;
    }
    let (what, escaped) = rest.split_once(' ')?;
    let mut text = String::with_capacity(escaped.len());
    let mut characters = escaped.chars();
    while let Some(character) = characters.next() {
        text.push(match character {
            '\\' => match characters.next()? {
                'n' => '\n',
                other => other,
            },
            other => other,
        });
    }
    match what {
        "t" => Some((vec![text], Vec::new())),
        "k" => Some((Vec::new(), vec![text])),
        _ => None,
    }
}

/// Puts a new file in the old one's place, in one step.
fn replace(path: &Path, header: &str, held: &Queue) -> io::Result<()> {
    let new = beside(path, ".new");
    // Left by a crash. Only who has the lock comes here.
    let _ = fs::remove_file(&new);
    let written = (|| {
        let mut file = private().write(true).create_new(true).open(&new)?;
        file.write_all(header.as_bytes())?;
        file.write_all(lines(held).as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, path)?;
        sync_directory(path)
    })();
    if written.is_err() {
        // It takes room that the disk may not have.
        let _ = fs::remove_file(&new);
    }
    written
}

/// A name is on the disk only once its directory is.
#[cfg(unix)]
fn sync_directory(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(directory) => fs::File::open(directory)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(not(unix))]
fn sync_directory(_: &Path) -> io::Result<()> {
    Ok(())
}

fn unusable(given: &Path, error: io::Error) -> Error {
    Error::new(
        ErrorKind::Config,
        format!(
            "journal(\"{}\") can't be used: {error}: name a file on a local disk, in a directory \
             that is there and that the process may write to",
            given.display()
        ),
    )
    .with_source(error)
}

fn foreign(given: &Path, why: &str) -> Error {
    Error::new(
        ErrorKind::Config,
        format!(
            "journal(\"{}\") is not this cache's: {why}: give each namespace a path of its own; \
             nothing was written to it",
            given.display()
        ),
    )
}
