//! What Redis answered, taken apart. Anything that isn't what was asked for is an error, never a
//! panic; a key of another type is as good as garbage bytes.

use std::sync::Arc;
use std::time::Duration;

use cache_core::store::{Found, Stamp, Turn};
use redis::{ServerErrorKind, Value};

use crate::failure::{Failure, Secrets};
use crate::keys::{id_of, read_stamp};

/// The answers to one pipeline, in order.
pub(crate) struct Replies<'a> {
    values: std::vec::IntoIter<Value>,
    secrets: &'a Secrets,
}

/// Whether a script was not there, so that its command did nothing.
pub(crate) fn is_no_script(value: &Value) -> bool {
    matches!(value, Value::ServerError(error) if error.kind() == Some(ServerErrorKind::NoScript))
}

impl<'a> Replies<'a> {
    pub(crate) fn new(values: Vec<Value>, secrets: &'a Secrets) -> Self {
        Self {
            values: values.into_iter(),
            secrets,
        }
    }

    fn next(&mut self) -> Result<Value, Failure> {
        match self.values.next() {
            Some(Value::ServerError(error)) => Err(Failure::of_server(&error, self.secrets)),
            Some(value) => Ok(value),
            None => Err(Failure::protocol(
                "Redis gave fewer answers than it was asked for",
            )),
        }
    }

    /// That every answer left is none of an error.
    pub(crate) fn done(mut self) -> Result<(), Failure> {
        while self.values.len() > 0 {
            self.next()?;
        }
        Ok(())
    }

    /// Bytes of a string; none where there is no key, empty where it is of another type.
    pub(crate) fn bytes(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        if let Some(Value::ServerError(error)) = self.values.as_slice().first()
            && error.code() == "WRONGTYPE"
        {
            self.values.next();
            return Ok(Some(Vec::new()));
        }
        match self.next()? {
            Value::Nil => Ok(None),
            Value::BulkString(bytes) => Ok(Some(bytes)),
            Value::SimpleString(text) => Ok(Some(text.into_bytes())),
            other => Err(unexpected("a string", &other)),
        }
    }

    pub(crate) fn integer(&mut self) -> Result<i64, Failure> {
        integer(self.next()?)
    }

    /// What a key has left, as PTTL says: nothing is known of one that does not expire.
    pub(crate) fn left(&mut self) -> Result<Option<Duration>, Failure> {
        Ok(match self.integer()? {
            -1 => None,
            left => Some(Duration::from_millis(u64::try_from(left).unwrap_or(0))),
        })
    }

    /// The stamps of that many tags. Without tags nothing was asked.
    pub(crate) fn stamps(&mut self, tags: usize) -> Result<Vec<Option<Stamp>>, Failure> {
        if tags == 0 {
            return Ok(Vec::new());
        }
        match self.next()? {
            Value::Array(values) if values.len() == tags => Ok(values
                .iter()
                .map(|value| match value {
                    Value::BulkString(text) => read_stamp(text),
                    _ => None,
                })
                .collect()),
            other => Err(unexpected("as many stamps as tags", &other)),
        }
    }

    /// The entry, of which one byte more than `limit` was asked for; `None` if it is larger.
    pub(crate) fn entry(
        &mut self,
        limit: usize,
        known: Option<&[u8]>,
    ) -> Result<Option<Found>, Failure> {
        // An empty string can't be told from nothing, and is of no more use.
        let is_foreign = matches!(self.values.as_slice().first(), Some(Value::ServerError(_)));
        let bytes = self.bytes()?.unwrap_or_default();
        Ok(if bytes.is_empty() && !is_foreign {
            Some(Found::Nothing)
        } else if bytes.len() > limit {
            None
        } else if known.is_some() && id_of(&bytes) == known {
            Some(Found::Known)
        } else {
            Some(Found::Bytes(bytes.into()))
        })
    }

    /// What the lease script came to.
    pub(crate) fn turn(&mut self) -> Result<Turn, Failure> {
        let Value::Array(parts) = self.next()? else {
            return Err(Failure::protocol("the lease script's answer is no array"));
        };
        let mut parts = parts.into_iter();
        match (parts.next(), parts.next()) {
            (Some(Value::Int(0)), None) => Ok(Turn::Granted),
            (Some(Value::Int(1)), Some(Value::Int(left))) => Ok(Turn::Held(Duration::from_millis(
                u64::try_from(left).unwrap_or_default(),
            ))),
            (Some(Value::Int(2)), Some(Value::BulkString(bytes))) => {
                Ok(Turn::Entry(Found::Bytes(Arc::from(bytes))))
            }
            _ => Err(Failure::protocol(
                "the lease script's answer makes no sense",
            )),
        }
    }
}

fn integer(value: Value) -> Result<i64, Failure> {
    match value {
        Value::Int(number) => Ok(number),
        other => Err(unexpected("a number", &other)),
    }
}

/// Values are never quoted.
fn unexpected(wanted: &str, value: &Value) -> Failure {
    let got = match value {
        Value::Nil => "nothing",
        Value::Int(_) => "a number",
        Value::BulkString(_) | Value::SimpleString(_) | Value::Okay => "a string",
        Value::Array(_) => "an array",
        Value::Map(_) => "a map",
        _ => "something else",
    };
    Failure::protocol(format!(
        "Redis was asked for {wanted} and answered with {got}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replies(values: Vec<Value>) -> Replies<'static> {
        static NONE: std::sync::LazyLock<Secrets> = std::sync::LazyLock::new(Secrets::default);
        Replies::new(values, &NONE)
    }

    fn wrong_type() -> Value {
        redis::parse_redis_value(b"-WRONGTYPE Operation against a key\r\n").unwrap()
    }

    fn bytes(text: &[u8]) -> Value {
        Value::BulkString(text.to_vec())
    }

    #[test]
    fn foreign_keys_are_garbage() {
        let entry = replies(vec![wrong_type()]).entry(10, None).unwrap();
        assert_eq!(entry, Some(Found::Bytes(Arc::from([]))));
        let stamps = replies(vec![Value::Array(vec![
            Value::Nil,
            bytes(b"x"),
            Value::Int(7),
        ])]);
        assert_eq!({ stamps }.stamps(3).unwrap(), [None, None, None]);
    }

    #[test]
    fn an_entry_is_bounded_and_recognized() {
        let text = b"12345678abcdefghijklmnoprest";
        let found = |limit, known| replies(vec![bytes(text)]).entry(limit, known).unwrap();
        assert_eq!(found(28, None), Some(Found::Bytes(Arc::from(*text))));
        assert_eq!(found(27, None), None);
        assert_eq!(found(28, Some(b"abcdefghijklmnop")), Some(Found::Known));
        assert!(matches!(
            found(28, Some(b"................")),
            Some(Found::Bytes(_))
        ));
        assert_eq!(
            replies(vec![bytes(b"")]).entry(1, None).unwrap(),
            Some(Found::Nothing)
        );
    }

    #[test]
    fn nonsense_is_an_error() {
        for value in [Value::Nil, Value::Int(3), Value::Array(vec![]), Value::Okay] {
            assert!(replies(vec![value.clone()]).turn().is_err(), "{value:?}");
            assert!(replies(vec![value.clone()]).stamps(2).is_err(), "{value:?}");
        }
        assert!(
            replies(vec![Value::Array(vec![Value::Int(1)])])
                .turn()
                .is_err()
        );
        assert!(replies(vec![bytes(b"x")]).integer().is_err());
        assert!(replies(vec![Value::Map(vec![])]).bytes().is_err());
        assert!(replies(vec![]).integer().is_err());
        assert!(replies(vec![Value::Okay, wrong_type()]).done().is_err());
    }
}
