//! How the program ends: exit codes that scripts can rely on, and what is said on the way out.

use std::fmt;
use std::io;
use std::io::Write as _;
use std::process::ExitCode;

use super::text::Safe;
use super::typed::{masked, masked_usage};
use crate::failure::Failure;

/// What came of a command that could be carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// All is well.
    Fine,
    /// Something is not as it should be.
    Found,
}

/// Why a command could not be carried out.
#[derive(Debug)]
pub(super) enum Trouble {
    /// It was tried.
    Failed(String),
    /// It made no sense.
    Usage(String),
    /// Nobody reads any more what is written, as after `| head`.
    Unread,
}

impl Trouble {
    pub(super) fn failed(text: impl Into<String>) -> Self {
        Self::Failed(text.into())
    }

    pub(super) fn usage(text: impl Into<String>) -> Self {
        Self::Usage(text.into())
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(text) | Self::Usage(text) => f.write_str(text),
            Self::Unread => f.write_str("nobody reads it"),
        }
    }
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::Unread;
        }
        Self::failed(format!("the output can't be written ({error})"))
    }
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::failed(failure.to_string())
    }
}

impl From<cache_core::Error> for Trouble {
    fn from(error: cache_core::Error) -> Self {
        Self::failed(error.to_string())
    }
}

/// Says what went wrong, and ends.
pub(super) fn code(ended: Result<Ending, Trouble>) -> ExitCode {
    match ended {
        Ok(Ending::Fine) | Err(Trouble::Unread) => ExitCode::SUCCESS,
        Ok(Ending::Found) => ExitCode::from(3),
        Err(Trouble::Failed(text)) => told(&text, 1),
        Err(Trouble::Usage(text)) => told(&text, 2),
    }
}

fn told(text: &str, code: u8) -> ExitCode {
    // Who does not read that either has the code.
    let _ = writeln!(io::stderr(), "cache: {}", Safe(&masked(text)));
    ExitCode::from(code)
}

/// What the parser of arguments has to say: help, or what is wrong.
pub(super) fn of_usage(error: &clap::Error) -> ExitCode {
    let text = masked_usage(&error.render().to_string());
    let lines = text.lines().map(|line| format!("{}\n", Safe(line)));
    let text: String = lines.collect();
    let (written, code) = if error.use_stderr() {
        (io::stderr().write_all(text.as_bytes()), 2)
    } else {
        (io::stdout().write_all(text.as_bytes()), 0)
    };
    // Nobody is left to be told where this can't be written.
    drop(written);
    ExitCode::from(code)
}
