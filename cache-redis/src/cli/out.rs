//! What is written: results to the standard output, a line each; progress and hints to the standard
//! error. Only what goes to a terminal has colours, and only there is progress shown.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use super::table::Table;
use super::text::Safe;
use super::typed::masked;

/// Where results and hints go.
pub(super) struct Out {
    coloured: bool,
    terminal: bool,
    unread: bool,
    progress: Option<Progress>,
}

/// A line on the terminal that is written anew.
struct Progress {
    since: Instant,
    shown: Option<Instant>,
    width: usize,
}

/// What is over sooner needs no progress.
const PATIENCE: Duration = Duration::from_millis(500);
const OFTEN: Duration = Duration::from_millis(100);

#[derive(Clone, Copy)]
pub(super) enum Colour {
    Green,
    Yellow,
    Red,
    Dim,
}

impl Out {
    pub(super) fn new() -> Self {
        let terminal = io::stdout().is_terminal();
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
        Self {
            coloured: terminal && !unwanted && !dumb,
            terminal,
            unread: false,
            progress: io::stderr().is_terminal().then(|| Progress {
                since: Instant::now(),
                shown: None,
                width: 0,
            }),
        }
    }

    /// For commands that are there for what they do, or for how they end: they go on where nobody reads
    /// any more, as after `| head`.
    pub(super) fn unread(mut self, unread: bool) -> Self {
        self.unread = unread;
        self
    }

    /// Whether a person looks at it.
    pub(super) fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// One line of the result.
    pub(super) fn line(&mut self, text: &str) -> io::Result<()> {
        self.write(&Safe(text).to_string())
    }

    /// One line that begins with a coloured word.
    pub(super) fn marked(&mut self, colour: Colour, mark: &str, text: &str) -> io::Result<()> {
        let mark = self.painted(colour, mark);
        self.write(&format!("{mark}{}", Safe(text)))
    }

    /// A text in a colour, where there are any. The text is made harmless.
    pub(super) fn painted(&self, colour: Colour, text: &str) -> String {
        let code = match colour {
            Colour::Green => 32,
            Colour::Yellow => 33,
            Colour::Red => 31,
            Colour::Dim => 2,
        };
        if self.coloured {
            format!("\x1b[{code}m{}\x1b[0m", Safe(text))
        } else {
            Safe(text).to_string()
        }
    }

    pub(super) fn table(&mut self, table: &Table) -> io::Result<()> {
        table.lines().try_for_each(|line| self.line(&line))
    }

    /// A JSON value on one line. Its strings are escaped by JSON itself, but for what only turns the
    /// direction of text, which is as good a JSON escaped.
    pub(super) fn json(&mut self, value: &serde_json::Value) -> io::Result<()> {
        let mut text = String::new();
        for c in value.to_string().chars() {
            if Safe(c.encode_utf8(&mut [0; 4]))
                .to_string()
                .starts_with('\\')
                && c != '\\'
            {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    text.extend([format!("\\u{unit:04x}")]);
                }
            } else {
                text.push(c);
            }
        }
        self.write(&text)
    }

    fn write(&mut self, line: &str) -> io::Result<()> {
        self.clear();
        match writeln!(io::stdout(), "{line}") {
            Err(error) if self.unread && error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            written => written,
        }
    }

    /// Something that is none of the result, for whoever is there.
    pub(super) fn hint(&mut self, text: &str) {
        self.clear();
        // A hint that can't be written is no reason to fail.
        let _ = writeln!(io::stderr(), "{}", Safe(&masked(text)));
    }

    /// How far it has come; on a terminal only, and only if it takes long.
    pub(super) fn progress(&mut self, text: impl FnOnce() -> String) {
        let Some(progress) = &mut self.progress else {
            return;
        };
        let now = Instant::now();
        let is_early = now - progress.since < PATIENCE;
        if is_early || progress.shown.is_some_and(|shown| now - shown < OFTEN) {
            return;
        }
        let text = Safe(&text()).to_string();
        let width = text.chars().count();
        let blank = " ".repeat(progress.width.saturating_sub(width));
        // As with hints.
        let _ = write!(io::stderr(), "\r{text}{blank}");
        let _ = io::stderr().flush();
        progress.shown = Some(now);
        progress.width = width;
    }

    /// Takes the progress off the terminal.
    fn clear(&mut self) {
        if let Some(progress) = &mut self.progress
            && progress.width > 0
        {
            let _ = write!(io::stderr(), "\r{}\r", " ".repeat(progress.width));
            progress.width = 0;
            progress.since = Instant::now();
        }
    }
}

impl Drop for Out {
    fn drop(&mut self) {
        self.clear();
    }
}
