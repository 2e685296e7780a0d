//! The file by itself: what comes back, what is refused, what damage does, and what a failing disk
//! leaves behind.

use std::fs;

use super::*;
use crate::driver::block_on;

fn names(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}

fn queue(tags: &[&str], keys: &[&str]) -> Queue {
    let mut queue = Queue::default();
    queue.add(&names(tags), &names(keys));
    queue
}

fn directory() -> tempfile::TempDir {
    tempfile::tempdir().expect("the temporary directory can be written")
}

/// What is in the journal, as the next process would see it.
fn reopened(path: &Path) -> Queue {
    File::open(path, "shifts")
        .expect("it can be opened")
        .held()
        .clone()
}

#[test]
fn what_was_added_comes_back_and_what_was_cleared_does_not() {
    let directory = directory();
    let path = directory.path().join("journal");
    let mut file = File::open(&path, "shifts").unwrap();
    assert!(file.held().is_empty());
    let odd = queue(
        &["user:1", "a\\b", "équipe:7"],
        &["k:f:a b\nt x", "k:f:\\n"],
    );
    file.change(false, odd.clone()).unwrap();
    file.change(false, queue(&["user:2"], &[])).unwrap();
    drop(file);
    let mut all = odd;
    all.join(queue(&["user:2"], &[]));
    assert_eq!(reopened(&path), all);

    let mut file = File::open(&path, "shifts").unwrap();
    file.change(true, queue(&["user:3"], &[])).unwrap();
    drop(file);
    assert_eq!(reopened(&path), queue(&["user:3"], &[]));

    let mut file = File::open(&path, "shifts").unwrap();
    file.change(true, Queue::default()).unwrap();
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        "cache-journal 1 shifts\n"
    );
}

#[test]
fn what_is_covered_is_not_written_again() {
    let directory = directory();
    let path = directory.path().join("journal");
    let mut file = File::open(&path, "shifts").unwrap();
    file.change(false, queue(&["user:1", "~k"], &[])).unwrap();
    let size = fs::metadata(&path).unwrap().len();
    for id in 0..100 {
        let key = format!("k:f:{id}");
        file.change(false, queue(&["user:1"], &[&key])).unwrap();
    }
    assert_eq!(fs::metadata(&path).unwrap().len(), size);
}

#[test]
fn it_is_bounded_by_widening() {
    let directory = directory();
    let path = directory.path().join("journal");
    let mut file = File::open(&path, "shifts").unwrap();
    let mut largest = 0;
    for round in 0..30 {
        let keys: Vec<String> = (0..1_000)
            .map(|id| format!("kind{}:get:{round}-{id}", round / 12))
            .collect();
        let mut added = Queue::default();
        added.add(&[], &keys);
        file.change(false, added).unwrap();
        largest = largest.max(fs::metadata(&path).unwrap().len());
    }
    assert!(largest < 600_000, "{largest} bytes");
    drop(file);
    let left = reopened(&path);
    assert!(left.tags.contains("~kind0"), "{} left", left.len());
    assert!(left.keys.iter().all(|key| !key.starts_with("kind0:")));
}

#[test]
fn a_torn_end_is_ignored_and_written_over() {
    let directory = directory();
    let path = directory.path().join("journal");
    let mut file = File::open(&path, "shifts").unwrap();
    file.change(false, queue(&["user:1"], &["k:f:1"])).unwrap();
    drop(file);
    let whole = fs::read(&path).unwrap();
    let kept = queue(&["user:1"], &["k:f:1"]);
    for torn in [
        &b"0123"[..],
        b"0123456789abcdef t user:2\n",
        &[0; 4096],
        b"\xff\n\xff",
    ] {
        fs::write(&path, [&whole, torn].concat()).unwrap();
        assert_eq!(reopened(&path), kept, "{torn:?}");
        assert_eq!(fs::read(&path).unwrap(), whole, "{torn:?}");
    }
    // Cut anywhere, it is what was complete, and the header is never.
    let header = "cache-journal 1 shifts\n".len();
    for end in header..whole.len() {
        fs::write(&path, &whole[..end]).unwrap();
        let left = reopened(&path);
        assert!(
            left.len() < kept.len() && left.beyond(&kept).is_empty(),
            "{end}"
        );
    }
}

#[test]
fn damage_in_the_middle_widens() {
    let directory = directory();
    let path = directory.path().join("journal");
    let mut file = File::open(&path, "shifts").unwrap();
    file.change(false, queue(&["a", "b", "c"], &[])).unwrap();
    drop(file);
    let damaged = fs::read_to_string(&path)
        .unwrap()
        .replace(" t b\n", " t x\n");
    fs::write(&path, damaged).unwrap();
    for _ in 0..2 {
        let held = reopened(&path);
        assert_eq!(held, queue(&["a", "c", "~"], &[]));
    }
}

#[test]
fn what_is_not_its_own_is_refused_and_left_alone() {
    let directory = directory();
    let path = directory.path().join("journal");
    for (text, says) in [
        ("cache-journal 1 other\n", "the namespace \"other\""),
        ("cache-journal 1 shift\n", "the namespace \"shift\""),
        ("cache-journal 2 shifts\n", "format \"2\""),
        ("root:x:0:0\n", "something else"),
        ("cache-journal", "something else"),
        ("\0\0\0\0", "something else"),
    ] {
        fs::write(&path, text).unwrap();
        let error = File::open(&path, "shifts").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains(says), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
    fs::write(&path, "").unwrap();
    assert!(reopened(&path).is_empty(), "an empty file is nobody's");
}

#[test]
fn a_path_that_is_no_file_s_is_refused() {
    let directory = directory();
    let missing = directory.path().join("missing/journal");
    for (path, says) in [
        (directory.path(), "not a regular file"),
        (Path::new("/dev/full"), "not a regular file"),
        (missing.as_path(), "a directory that is there"),
        (Path::new(""), "a directory that is there"),
    ] {
        let error = Journal::open(path, "shifts", &Env::system()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains(says), "{error}");
    }
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn only_one_has_it_by_whatever_name() {
    let directory = directory();
    let path = directory.path().join("journal");
    let file = File::open(&path, "shifts").unwrap();
    let mut names = vec![path.clone(), directory.path().join(".").join("journal")];
    #[cfg(unix)]
    {
        let link = directory.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        names.push(link);
    }
    for name in names {
        let error = File::open(&name, "shifts").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    }
    drop(file);
    assert!(reopened(&path).is_empty());
}

#[cfg(unix)]
#[test]
fn only_its_owner_can_read_it() {
    use std::os::unix::fs::PermissionsExt as _;

    let directory = directory();
    let path = directory.path().join("journal");
    let _file = File::open(&path, "shifts").unwrap();
    for entry in fs::read_dir(directory.path()).unwrap() {
        let mode = entry.unwrap().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_loses_nothing_that_was_there_and_is_made_up_for() {
    let directory = directory();
    let path = directory.path().join("journal");
    let mut file = File::open(&path, "shifts").unwrap();
    file.change(false, queue(&["a"], &[])).unwrap();
    file.fill_the_disk();
    let error = file.change(false, queue(&["b"], &[])).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
    assert!(file.is_behind());
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.ends_with(" t a\n"), "{text}");
    // There is room again; nothing new is queued.
    file.change(false, Queue::default()).unwrap();
    assert!(!file.is_behind());
    file.change(false, queue(&["c"], &[])).unwrap();
    drop(file);
    assert_eq!(reopened(&path), queue(&["a", "b", "c"], &[]));
}

#[test]
fn a_ticket_is_good_once_what_it_stands_for_is_on_the_disk() {
    let directory = directory();
    let path = directory.path().join("journal");
    let (journal, left) = Journal::open(&path, "shifts", &Env::system()).unwrap();
    assert!(left.is_empty());
    for id in 0..50 {
        let tag = format!("user:{id}");
        let ticket = journal.add(queue(&[&tag], &[]));
        block_on(journal.written(ticket));
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.ends_with(&format!(" t {tag}\n")), "{text}");
    }
    journal.clear();
    block_on(journal.written(journal.add(queue(&["last"], &[]))));
    assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 2);
    // Dropped, it still writes what it was given, and lets go.
    journal.add(queue(&["later"], &[]));
    drop(journal);
    let (journal, left) = Journal::open(&path, "shifts", &Env::system()).unwrap();
    assert_eq!(left, queue(&["last", "later"], &[]));
    assert_eq!((journal.errors(), journal.is_behind()), (0, false));
}
