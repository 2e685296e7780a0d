//! `cache top`: the kinds of the fleet as they are now, again and again.
//!
//! Nodes report a few times a minute, so the figures of a few seconds would jump: rates are of the last
//! whole minute and what there is of the one that is running.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use cache_core::metrics::Fleet;
use cache_core::{Cache, KindSnapshot};
use crossterm::event::{Event, KeyCode, KeyEventKind, KeyModifiers};
use crossterm::{cursor, event, execute, terminal};
use tokio::sync::mpsc;

use super::args::{Sort, Top};
use super::ending::{Ending, Trouble};
use super::out::Out;
use super::session::Session;
use super::stats::{calls, errors, over};
use super::table::Table;
use super::text::{Safe, moment, percent, shown, shown_us, size};

pub(super) async fn run(session: &Session, asked: &Top, out: &mut Out) -> Result<Ending, Trouble> {
    let (cache, _) = session.cache()?;
    if out.is_terminal() && io::stdin().is_terminal() && !asked.once {
        return live(session, &cache, asked).await;
    }
    loop {
        let fleet = last_minutes(session, &cache).await?;
        for line in lines(session.namespace(), &fleet, asked.sort) {
            out.line(&line)?;
        }
        if asked.once {
            if fleet.minutes.is_empty() && fleet.nodes.is_empty() {
                session.suggest(out).await;
            }
            return Ok(Ending::Fine);
        }
        out.line("")?;
        tokio::time::sleep(asked.interval).await;
    }
}

async fn last_minutes(session: &Session, cache: &Cache) -> Result<Fleet, Trouble> {
    let (_, fleet) = over(session, cache, Duration::from_mins(2)).await?;
    Ok(fleet)
}

/// On a terminal, until somebody has seen enough.
async fn live(session: &Session, cache: &Cache, asked: &Top) -> Result<Ending, Trouble> {
    let (tell, mut pressed) = mpsc::unbounded_channel();
    let _screen = Screen::enter()?;
    // Reading keys blocks; the thread ends with the process.
    std::thread::spawn(move || {
        while let Ok(event) = event::read() {
            if tell.send(event).is_err() {
                return;
            }
        }
    });
    #[cfg(unix)]
    let mut terminated = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    let mut shown: Vec<String> = Vec::new();
    loop {
        let now = tokio::select! {
            fleet = last_minutes(session, cache) => match fleet {
                Ok(fleet) => lines(session.namespace(), &fleet, asked.sort),
                // It may come back: the last figures stay, with the reason.
                Err(Trouble::Failed(why)) if !shown.is_empty() => {
                    let old = shown.into_iter().filter(|line| !line.starts_with(NO_FIGURES));
                    std::iter::once(format!("{NO_FIGURES}{why}")).chain(old).collect()
                }
                Err(trouble) => return Err(trouble),
            },
            () = ended(&mut pressed) => return Ok(Ending::Fine),
        };
        shown = now;
        Screen::draw(&shown)?;
        let pause = tokio::time::sleep(asked.interval);
        tokio::pin!(pause);
        loop {
            tokio::select! {
                () = &mut pause => break,
                what = pressed.recv() => match what {
                    Some(Event::Resize(..)) => Screen::draw(&shown)?,
                    Some(event) if !is_end(&event) => {}
                    _ => return Ok(Ending::Fine),
                },
                () = terminate(#[cfg(unix)] &mut terminated) => return Ok(Ending::Fine),
            }
        }
    }
}

const NO_FIGURES: &str = "no new figures: ";

/// Ends when the user wants it to.
async fn ended(pressed: &mut mpsc::UnboundedReceiver<Event>) {
    while let Some(event) = pressed.recv().await {
        if is_end(&event) {
            return;
        }
    }
}

#[cfg(unix)]
async fn terminate(signal: &mut tokio::signal::unix::Signal) {
    signal.recv().await;
}

#[cfg(not(unix))]
async fn terminate() {
    std::future::pending().await
}

fn is_end(event: &Event) -> bool {
    let Event::Key(key) = event else {
        return false;
    };
    let is_control_c =
        key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
    key.kind != KeyEventKind::Release
        && (is_control_c || matches!(key.code, KeyCode::Char('q') | KeyCode::Esc))
}

/// The whole terminal, for as long as this is there. What was on it comes back with the end, also with
/// one by a panic.
struct Screen;

impl Screen {
    fn enter() -> io::Result<Self> {
        terminal::enable_raw_mode()?;
        let screen = Self;
        execute!(io::stdout(), terminal::EnterAlternateScreen, cursor::Hide)?;
        Ok(screen)
    }

    /// Shows these lines, as far as they fit.
    fn draw(lines: &[String]) -> io::Result<()> {
        let (columns, rows) = match terminal::size()? {
            // One that does not know its size.
            (0, _) | (_, 0) => (80, 24),
            size => size,
        };
        let mut stdout = io::stdout().lock();
        execute!(
            stdout,
            cursor::MoveTo(0, 0),
            terminal::Clear(terminal::ClearType::All)
        )?;
        for (row, line) in lines.iter().take(rows.into()).enumerate() {
            let line = Safe(line).to_string();
            let fitting: String = line.chars().take(columns.into()).collect();
            execute!(
                stdout,
                cursor::MoveTo(0, u16::try_from(row).unwrap_or(u16::MAX))
            )?;
            write!(stdout, "{fitting}")?;
        }
        stdout.flush()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // There is nothing left to be done for a terminal that is gone.
        let _ = execute!(io::stdout(), terminal::LeaveAlternateScreen, cursor::Show);
        let _ = terminal::disable_raw_mode();
    }
}

/// What is shown of the fleet.
fn lines(namespace: &str, fleet: &Fleet, sort: Sort) -> Vec<String> {
    let sum = fleet.sum();
    let seconds = span_of(fleet).as_secs_f64();
    let missing = fleet.missing().count();
    let open = fleet.nodes.iter().filter(|node| node.breaker_open).count();
    let bytes = fleet.nodes.iter().map(|node| node.local_bytes);
    let bytes = bytes.fold(0, u64::saturating_add);
    let mut head = format!(
        "{namespace} at {} UTC, nodes: {}, local values: {}, rates of the last {seconds:.0} s",
        moment(fleet.now_ms / 1000),
        fleet.nodes.len(),
        size(bytes),
    );
    for (count, what) in [(missing, "missing"), (open, "breakers open")] {
        if count > 0 {
            head.extend([format!(", {what}: {count}")]);
        }
    }
    let mut kinds: Vec<(&String, &KindSnapshot)> = sum.kinds.iter().collect();
    kinds.sort_by_key(|(_, kind)| std::cmp::Reverse(rank(kind, sort)));
    let mut table = Table::new(&[
        "<kind", "calls/s", "hit %", "local/s", "shared/s", "misses/s", "loads/s", "errors/s",
        "p50", "p99", "saved/s",
    ]);
    for (name, kind) in kinds {
        let rate = |count: u64| rate(count, seconds);
        table.row([
            name.clone(),
            rate(calls(kind)),
            percent(kind.hit_ratio()),
            rate(kind.hits_local),
            rate(kind.hits_shared),
            rate(kind.misses),
            rate(kind.loads),
            rate(errors(kind)),
            shown_us(kind.load_time.p50_micros),
            shown_us(kind.load_time.p99_micros),
            shown(per_second(kind.time_saved(), seconds)),
        ]);
    }
    std::iter::once(head).chain(table.lines()).collect()
}

/// How long the minutes are of which there are figures: the last one only as far as it has come.
fn span_of(fleet: &Fleet) -> Duration {
    let now = fleet.now_ms / 60_000;
    let running = Duration::from_millis(fleet.now_ms % 60_000);
    let whole = fleet
        .minutes
        .keys()
        .filter(|minute| **minute != now)
        .count();
    let whole = Duration::from_mins(u64::try_from(whole).unwrap_or(0));
    (whole + running).max(Duration::from_secs(1))
}

fn rank(kind: &KindSnapshot, sort: Sort) -> u128 {
    match sort {
        Sort::Saved => kind.time_saved().as_micros(),
        Sort::Calls => calls(kind).into(),
        Sort::Hits => kind.hits().into(),
        Sort::Misses => kind.misses.into(),
        Sort::Load => kind.load_time.total_micros.into(),
        // As they are: by name.
        Sort::Name => 0,
    }
}

#[allow(clippy::cast_precision_loss)]
fn rate(count: u64, seconds: f64) -> String {
    let rate = count as f64 / seconds;
    match rate {
        _ if count == 0 => "0".to_owned(),
        ..10.0 => format!("{rate:.2}"),
        ..100.0 => format!("{rate:.1}"),
        _ => format!("{rate:.0}"),
    }
}

fn per_second(time: Duration, seconds: f64) -> Duration {
    // Rounded, the largest is too large for a duration.
    Duration::try_from_secs_f64(time.as_secs_f64() / seconds).unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests {
    use cache_core::Snapshot;
    use cache_core::metrics::{Node, NodeId};

    use super::*;

    fn kind(hits: u64, misses: u64, micros: u64) -> KindSnapshot {
        let mut kind = KindSnapshot::default();
        kind.add_field("hits_local", hits);
        kind.add_field("misses", misses);
        kind.add_field("load_micros", micros);
        kind.add_field(&format!("load_below_micros.{micros}"), 1);
        kind
    }

    #[test]
    fn rates_are_of_the_time_that_there_are_figures_of() {
        let mut fleet = Fleet::default();
        fleet.now_ms = 100 * 60_000 + 30_000;
        assert_eq!(span_of(&fleet), Duration::from_secs(30));
        fleet.minutes.insert(99, Snapshot::default());
        fleet.minutes.insert(100, Snapshot::default());
        assert_eq!(span_of(&fleet), Duration::from_secs(90));
        assert_eq!(rate(45, 90.0), "0.50");
        assert_eq!(rate(0, 90.0), "0");
        assert_eq!(rate(9_000_000, 90.0), "100000");
    }

    #[test]
    fn hostile_figures_are_shown_as_far_as_numbers_go() {
        let mut fleet = Fleet::default();
        fleet.now_ms = u64::MAX;
        let mut minute = Snapshot::default();
        minute.kinds.insert("kind".to_owned(), {
            let mut kind = kind(u64::MAX, u64::MAX, u64::MAX);
            kind.add_field("hits_shared", u64::MAX);
            kind.add_field("load_errors", u64::MAX);
            kind.add_field("load_timeouts", u64::MAX);
            kind
        });
        fleet.minutes.insert(u64::MAX / 60_000, minute);
        for _ in 0..2 {
            let mut node = Node::new(NodeId(1));
            node.local_bytes = u64::MAX;
            fleet.nodes.push(node);
        }
        for sort in [Sort::Saved, Sort::Calls] {
            assert_eq!(lines("shifts", &fleet, sort).len(), 3);
        }
    }

    #[test]
    fn kinds_are_sorted_as_asked_for() {
        let mut fleet = Fleet::default();
        fleet.now_ms = 100 * 60_000 + 10_000;
        let mut minute = Snapshot::default();
        minute.kinds.insert("often".to_owned(), kind(900, 100, 10));
        minute
            .kinds
            .insert("slow".to_owned(), kind(9, 1, 9_000_000));
        fleet.minutes.insert(100, minute);
        let first = |sort| {
            let lines = lines("shifts", &fleet, sort);
            assert!(lines[0].starts_with("shifts at 1970-01-01 01:40:10 UTC, nodes: 0"));
            lines[2].split_whitespace().next().map(str::to_owned)
        };
        assert_eq!(first(Sort::Saved).as_deref(), Some("slow"));
        assert_eq!(first(Sort::Load).as_deref(), Some("slow"));
        for sort in [Sort::Calls, Sort::Hits, Sort::Misses, Sort::Name] {
            assert_eq!(first(sort).as_deref(), Some("often"), "{sort:?}");
        }
    }
}
