//! What is asked, in the form in which it is sent: lookups are written straight into it, and redis-rs
//! packs the rest.

use redis::{Cmd, Pipeline};

/// Commands in Redis's form.
#[derive(Clone, Default)]
pub(crate) struct Packed {
    bytes: Vec<u8>,
    commands: usize,
}

impl Packed {
    /// With room for some bytes.
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(bytes),
            commands: 0,
        }
    }

    /// How many commands there are, each of which has an answer.
    pub(crate) fn commands(&self) -> usize {
        self.commands
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Begins a command of this name, with so many arguments, which follow.
    pub(crate) fn command(&mut self, name: &str, arguments: usize) -> &mut Self {
        self.commands += 1;
        self.head(b'*', arguments + 1);
        self.argument(&[name])
    }

    /// An argument, in pieces.
    pub(crate) fn argument(&mut self, pieces: &[&str]) -> &mut Self {
        self.head(b'$', pieces.iter().map(|piece| piece.len()).sum());
        for piece in pieces {
            self.bytes.extend_from_slice(piece.as_bytes());
        }
        self.bytes.extend_from_slice(b"\r\n");
        self
    }

    /// Bytes as an argument.
    pub(crate) fn bytes_argument(&mut self, bytes: &[u8]) -> &mut Self {
        self.head(b'$', bytes.len());
        self.bytes.extend_from_slice(bytes);
        self.bytes.extend_from_slice(b"\r\n");
        self
    }

    /// A number as an argument.
    pub(crate) fn number(&mut self, number: usize) -> &mut Self {
        self.bytes_argument(itoa::Buffer::new().format(number).as_bytes())
    }

    fn head(&mut self, kind: u8, number: usize) {
        // Nearly all of them have one digit, or two.
        let digit = |number: usize| b'0' + u8::try_from(number % 10).unwrap_or_default();
        match number {
            0..10 => {
                let head = [kind, digit(number), b'\r', b'\n'];
                self.bytes.extend_from_slice(&head);
            }
            10..100 => {
                let head = [kind, digit(number / 10), digit(number), b'\r', b'\n'];
                self.bytes.extend_from_slice(&head);
            }
            _ => {
                let mut digits = itoa::Buffer::new();
                self.bytes.push(kind);
                self.bytes
                    .extend_from_slice(digits.format(number).as_bytes());
                self.bytes.extend_from_slice(b"\r\n");
            }
        }
    }
}

impl From<&Cmd> for Packed {
    fn from(command: &Cmd) -> Self {
        Self {
            bytes: command.get_packed_command(),
            commands: 1,
        }
    }
}

impl From<Pipeline> for Packed {
    fn from(commands: Pipeline) -> Self {
        Self::from(&commands)
    }
}

impl From<&Pipeline> for Packed {
    fn from(commands: &Pipeline) -> Self {
        Self {
            bytes: commands.get_packed_pipeline(),
            commands: commands.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lookup_is_written_as_redis_rs_writes_it() {
        let mut packed = Packed::default();
        packed
            .command("GETRANGE", 3)
            .argument(&["ns:e:{", "k:f:1", "}"])
            .number(0)
            .number(8_388_608);
        packed
            .command("SET", 2)
            .argument(&[&"x".repeat(10)])
            .bytes_argument("x".repeat(105).as_bytes());
        packed.command("PTTL", 1).argument(&["ns:e:{k:f:1}"]);
        let mut commands = Pipeline::new();
        commands
            .cmd("GETRANGE")
            .arg("ns:e:{k:f:1}")
            .arg(0)
            .arg(8_388_608);
        let texts = ["x".repeat(10), "x".repeat(105)];
        commands.cmd("SET").arg(&texts);
        commands.cmd("PTTL").arg("ns:e:{k:f:1}");
        let theirs = Packed::from(&commands);
        assert_eq!(
            packed.bytes,
            theirs.bytes,
            "{}",
            packed.bytes.escape_ascii()
        );
        assert_eq!(packed.commands, theirs.commands);
    }
}
