//! The quickstart, as somebody who just cloned the repository runs it.

use std::fs;
use std::path::Path;
use std::process::Output;
use std::time::SystemTime;

use cache_tests::server::RedisServer;
use cache_tests::service::program;

/// Runs it; what it prints.
fn run(redis: Option<&str>, path: Option<&Path>) -> Output {
    let mut command = program(env!("CARGO_BIN_EXE_tested-quickstart"), redis);
    command.args(path).output().expect("it can be started")
}

fn printed(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}\n{output:?}");
    text
}

/// A directory with some files, one of them read-only, and one in a directory below.
fn directory() -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("the temporary directory can be written");
    let write = |name: &str, text: &str| {
        fs::write(directory.path().join(name), text).expect("it can be written");
    };
    fs::create_dir(directory.path().join("below")).expect("it can be made");
    write("a.txt", "one two\nthree\n");
    write("b.bin", "\u{0}\u{1}");
    write("below/c.txt", "four five six");
    write(".hidden", "not read");
    let locked = directory.path().join("a.txt");
    let mut permissions = locked.metadata().expect("it is there").permissions();
    permissions.set_readonly(true);
    fs::set_permissions(locked, permissions).expect("it is ours");
    directory
}

/// All that there is to see of the files below a directory.
fn state(path: &Path) -> Vec<(String, Option<Vec<u8>>, SystemTime)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(path).expect("a directory") {
        let path = entry.expect("it can be read").path();
        let modified = path.metadata().and_then(|metadata| metadata.modified());
        found.push((
            path.display().to_string(),
            fs::read(&path).ok(),
            modified.expect("a time"),
        ));
        if path.is_dir() {
            found.extend(state(&path));
        }
    }
    found.sort();
    found
}

/// The figure in the column `name` of the table's row of `kind`.
fn figure(text: &str, kind: &str, name: &str) -> String {
    let table: Vec<&str> = text
        .lines()
        .skip_while(|line| !line.starts_with("kind"))
        .collect();
    // "hit %" and "load p50" are two words each, and one column.
    let heads = table[0].replace("hit %", "hit%").replace("load p50", "p50");
    let column = heads.split_whitespace().position(|head| head == name);
    let row = table
        .iter()
        .find(|line| line.starts_with(kind))
        .expect("a row");
    let figure = row.split_whitespace().nth(column.expect("a column"));
    figure.expect("a figure").to_owned()
}

#[test]
fn it_runs_embedded_and_leaves_what_it_was_given_untouched() {
    let directory = directory();
    let before = state(directory.path());
    let output = run(None, Some(directory.path()));
    let text = printed(&output);
    assert_eq!(state(directory.path()), before);
    assert!(output.stderr.is_empty(), "{output:?}");

    assert!(
        text.contains("3 files, 4 lines, 7 words"),
        "all but the hidden one: {text}"
    );
    assert!(text.contains("cold: every file was read"), "{text}");
    // Each of the first call, the change and its undoing reads; the second call does not.
    assert_eq!(figure(&text, "directory", "miss"), "3");
    assert_eq!(figure(&text, "directory", "local"), "1");
    // All once, and one again after each change.
    assert_eq!(figure(&text, "file", "miss"), "5");
    assert_eq!(figure(&text, "file", "local"), "4");
    assert_eq!(figure(&text, "file", "hit%"), "44.4");
}

#[test]
fn it_reads_one_file_or_its_own_source_and_says_so_where_there_is_none() {
    let directory = directory();
    let text = printed(&run(None, Some(&directory.path().join("below/c.txt"))));
    assert!(text.contains("1 files, 1 lines, 3 words"), "{text}");
    let text = printed(&run(None, None));
    assert!(
        text.contains("directory") && text.contains("file"),
        "{text}"
    );
    let output = run(None, Some(&directory.path().join("missing")));
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(error.contains("missing"), "{error}");
}

#[test]
fn with_redis_a_second_run_starts_warm_and_a_changed_file_is_read_again() {
    let (redis, directory) = (RedisServer::start(), directory());
    let url = redis.url();
    let go = || printed(&run(Some(&url), Some(directory.path())));
    let first = go();
    assert!(first.contains("cold: every file was read"), "{first}");
    let second = go();
    assert!(
        second.contains("warm: an earlier run had loaded it"),
        "{second}"
    );
    assert_eq!(
        figure(&second, "file", "miss"),
        "2",
        "one after each change"
    );
    assert_eq!(figure(&second, "directory", "shared"), "1");

    fs::write(directory.path().join("b.bin"), "more words").expect("it can be written");
    let third = go();
    assert!(third.contains("cold: every file was read"), "{third}");
    assert!(third.contains("3 files, 4 lines, 8 words"), "{third}");
}

#[test]
fn with_redis_down_it_runs_all_the_same() {
    let mut redis = RedisServer::start();
    redis.kill();
    let text = printed(&run(Some(&redis.url()), Some(directory().path())));
    assert!(text.contains("cold: every file was read"), "{text}");
}
