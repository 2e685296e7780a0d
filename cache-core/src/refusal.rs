//! The error inside our own serializers and deserializers: serde asks for one that can be made
//! of any text. Boxed, so that the way without an error stays narrow.

use std::fmt::{self, Display};

/// Why a value could not be written or read.
#[derive(Debug)]
pub struct Refusal(Box<str>);

impl Refusal {
    /// The refusal that says `message`.
    pub(crate) fn new(message: impl Display) -> Self {
        Self(message.to_string().into())
    }

    /// Whether a visitor has refused what it was given for its type alone, as serde words it: a flag
    /// beside the text would make every `Result` with it wider.
    pub(crate) fn is_of_type(&self) -> bool {
        self.0.starts_with("invalid type: ")
    }
}

impl Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refusal {}

impl serde::ser::Error for Refusal {
    fn custom<T: Display>(message: T) -> Self {
        Self::new(message)
    }
}

impl serde::de::Error for Refusal {
    fn custom<T: Display>(message: T) -> Self {
        Self::new(message)
    }
}
