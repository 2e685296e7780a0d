//! What Redis answered, taken apart. Anything that can't be the answer to what was asked is an error,
//! never a panic, and ends the connection; a key of another type is as good as garbage bytes.

use std::ops::RangeInclusive;
use std::time::Duration;

use cache_core::store::{Found, Stamp, Turn};
use redis::{ServerErrorKind, Value};

use crate::connection::Blame;
use crate::failure::{Failure, Secrets};
use crate::keys::{id_of, read_stamp};

/// The answers to one pipeline, in order. What can't be an answer ends the connection it came over.
pub(crate) struct Replies<'a> {
    values: std::vec::IntoIter<Value>,
    blame: Blame,
    secrets: &'a Secrets,
}

/// Whether a script was not there, so that its command did nothing.
pub(crate) fn is_no_script(value: &Value) -> bool {
    matches!(value, Value::ServerError(error) if error.kind() == Some(ServerErrorKind::NoScript))
}

/// More than any key of ours has left; what somebody else wrote there may have more.
const LONGEST_LIFE: Duration = Duration::from_hours(100 * 365 * 24);

impl<'a> Replies<'a> {
    pub(crate) fn new(values: Vec<Value>, blame: Blame, secrets: &'a Secrets) -> Self {
        Self {
            values: values.into_iter(),
            blame,
            secrets,
        }
    }

    fn next(&mut self) -> Result<Value, Failure> {
        match self.values.next() {
            Some(Value::ServerError(error)) => Err(Failure::of_server(&error, self.secrets)),
            Some(value) => Ok(value),
            None => Err(self.strange("Redis gave fewer answers than it was asked for")),
        }
    }

    /// At most `most` bytes of a string; none where there is no key, empty where it is of another
    /// type.
    pub(crate) fn bytes(&mut self, most: usize) -> Result<Option<Vec<u8>>, Failure> {
        if let Some(Value::ServerError(error)) = self.values.as_slice().first()
            && error.code() == "WRONGTYPE"
        {
            self.values.next();
            return Ok(Some(Vec::new()));
        }
        match self.next()? {
            Value::Nil => Ok(None),
            Value::BulkString(bytes) if bytes.len() <= most => Ok(Some(bytes)),
            Value::BulkString(_) => {
                Err(self.strange("Redis sent more bytes than it was asked for"))
            }
            other => Err(self.unexpected("a string", &other)),
        }
    }

    /// A number in this range.
    pub(crate) fn integer(&mut self, range: RangeInclusive<i64>) -> Result<i64, Failure> {
        match self.next()? {
            Value::Int(number) if range.contains(&number) => Ok(number),
            Value::Int(number) => Err(self.strange(format!(
                "Redis answered {number} where only {} to {} make sense",
                range.start(),
                range.end()
            ))),
            other => Err(self.unexpected("a number", &other)),
        }
    }

    /// What a script says that did something or not.
    pub(crate) fn flag(&mut self) -> Result<bool, Failure> {
        Ok(self.integer(0..=1)? == 1)
    }

    /// Whether what was to be set only if nothing was there has been set.
    pub(crate) fn done(&mut self) -> Result<bool, Failure> {
        match self.next()? {
            Value::Okay => Ok(true),
            Value::Nil => Ok(false),
            other => Err(self.unexpected("whether it was set", &other)),
        }
    }

    /// What a key has left, as PTTL says: nothing is known of one that does not expire.
    pub(crate) fn left(&mut self) -> Result<Option<Duration>, Failure> {
        Ok(match self.integer(-2..=i64::MAX)? {
            -1 => None,
            left => Some(millis(left)),
        })
    }

    /// The stamps of that many tags. Without tags nothing was asked.
    pub(crate) fn stamps(&mut self, tags: usize) -> Result<Vec<Option<Stamp>>, Failure> {
        if tags == 0 {
            return Ok(Vec::new());
        }
        match self.next()? {
            Value::Array(values) if values.len() == tags => self.read_stamps(&values),
            other => Err(self.unexpected("as many stamps as tags", &other)),
        }
    }

    /// What is in the place of a lease, and the stamps of that many tags, asked for at once: at most `most`
    /// bytes of the one, and none where it is of another type.
    #[allow(clippy::type_complexity)]
    pub(crate) fn holder_and_stamps(
        &mut self,
        tags: usize,
        most: usize,
    ) -> Result<(Option<Vec<u8>>, Vec<Option<Stamp>>), Failure> {
        let mut values = match self.next()? {
            Value::Array(values) if values.len() == tags + 1 => values,
            other => return Err(self.unexpected("a lease and as many stamps as tags", &other)),
        };
        let stamps = self.read_stamps(&values[1..])?;
        match values.swap_remove(0) {
            Value::Nil => Ok((None, stamps)),
            Value::BulkString(holder) if holder.len() <= most => Ok((Some(holder), stamps)),
            other => Err(self.unexpected("a lease", &other)),
        }
    }

    fn read_stamps(&self, values: &[Value]) -> Result<Vec<Option<Stamp>>, Failure> {
        let read = |value: &Value| match value {
            Value::BulkString(text) => Some(read_stamp(text)),
            // A key of another type is nil, too.
            Value::Nil => Some(None),
            _ => None,
        };
        let stamps: Option<_> = values.iter().map(read).collect();
        stamps.ok_or_else(|| self.strange("Redis sent something else than strings as stamps"))
    }

    /// The entry, of which one byte more than `limit` was asked for; `None` if it is larger.
    pub(crate) fn entry(
        &mut self,
        limit: usize,
        known: Option<&[u8]>,
    ) -> Result<Option<Found>, Failure> {
        // An empty string can't be told from nothing, and is of no more use.
        let is_foreign = matches!(self.values.as_slice().first(), Some(Value::ServerError(_)));
        let bytes = self.bytes(limit.saturating_add(1))?.unwrap_or_default();
        Ok(if bytes.is_empty() && !is_foreign {
            Some(Found::Nothing)
        } else if bytes.len() > limit {
            None
        } else if known.is_some() && id_of(&bytes) == known {
            Some(Found::Known)
        } else {
            Some(Found::Bytes(bytes))
        })
    }

    /// What the lease script came to. It hands an entry over only if that has an id, and no more
    /// bytes than `limit`.
    pub(crate) fn turn(&mut self, limit: usize) -> Result<Turn, Failure> {
        let parts = match self.next()? {
            Value::Array(parts) => parts,
            other => return Err(self.unexpected("who has the lease", &other)),
        };
        match parts.as_slice() {
            [Value::Int(0)] => Ok(Turn::Granted),
            [Value::Int(1), Value::Int(left @ 0..)] => Ok(Turn::Held(millis(*left))),
            [Value::Int(2), Value::BulkString(bytes)]
                if bytes.len() <= limit && id_of(bytes).is_some() =>
            {
                Ok(Turn::Entry(Found::Bytes(bytes.clone())))
            }
            _ => Err(self.strange("the lease script's answer makes no sense")),
        }
    }

    fn strange(&self, text: impl Into<String>) -> Failure {
        let failure = Failure::strange(text);
        self.blame.distrust(failure.clone());
        failure
    }

    /// Values are never quoted.
    fn unexpected(&self, wanted: &str, value: &Value) -> Failure {
        let got = match value {
            Value::Nil => "nothing",
            Value::Int(_) => "a number",
            Value::BulkString(_) | Value::SimpleString(_) | Value::Okay => "a string",
            Value::Array(_) => "an array",
            Value::Map(_) => "a map",
            _ => "something else",
        };
        self.strange(format!(
            "Redis was asked for {wanted} and answered with {got}"
        ))
    }
}

/// Bounded, so that a clock can be added to it.
fn millis(left: i64) -> Duration {
    Duration::from_millis(u64::try_from(left).unwrap_or(0)).min(LONGEST_LIFE)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Weak};

    use cache_core::store::{Event, Observer};

    use super::*;
    use crate::coherence::Coherence;
    use crate::keys::Keys;

    struct Deaf;

    impl Observer for Deaf {
        fn observe(&self, _: Event) {}
    }

    fn replies(values: Vec<Value>) -> Replies<'static> {
        static NONE: std::sync::LazyLock<Secrets> = std::sync::LazyLock::new(Secrets::default);
        let coherence = Coherence::new(Weak::<Deaf>::new(), Keys::new("ns"), 1);
        Replies::new(values, Blame::new(Arc::new(coherence)), &NONE)
    }

    /// That it is refused, and that the connection is blamed.
    #[track_caller]
    fn strange<T: std::fmt::Debug>(
        values: &[Value],
        take: impl Fn(&mut Replies<'static>) -> Result<T, Failure>,
    ) {
        let mut replies = replies(values.to_vec());
        assert!(take(&mut replies).unwrap_err().is_strange(), "{values:?}");
        assert!(replies.blame.is_given_up(), "{values:?}");
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
        assert_eq!(entry, Some(Found::Bytes(Vec::new())));
        let stamps = replies(vec![Value::Array(vec![Value::Nil, bytes(b"x")])]);
        assert_eq!({ stamps }.stamps(2).unwrap(), [None, None]);
    }

    #[test]
    fn an_entry_is_bounded_and_recognized() {
        let text = b"12345678abcdefghijklmnoprest";
        let found = |limit, known| replies(vec![bytes(text)]).entry(limit, known).unwrap();
        assert_eq!(found(28, None), Some(Found::Bytes(text.to_vec())));
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
    fn what_is_no_answer_ends_the_connection() {
        let array = Value::Array;
        let (zero, one, two) = (Value::Int(0), Value::Int(1), Value::Int(2));
        let simple = Value::SimpleString("PONG".to_owned());
        for value in [
            Value::Nil,
            Value::Int(3),
            Value::Okay,
            simple.clone(),
            array(vec![]),
            array(vec![one.clone()]),
            array(vec![one.clone(), Value::Int(-1)]),
            array(vec![one.clone(), zero.clone(), zero.clone()]),
            array(vec![zero.clone(), Value::Nil]),
            array(vec![two.clone(), bytes(b"too short for an id")]),
            array(vec![two.clone(), bytes(&[7; 101])]),
            array(vec![two, array(vec![bytes(&[7; 30])])]),
            Value::Map(vec![(zero.clone(), one)]),
        ] {
            strange(std::slice::from_ref(&value), |replies| replies.turn(100));
            strange(&[value], |replies| replies.stamps(3));
        }
        for value in [
            zero.clone(),
            Value::Okay,
            simple,
            array(vec![bytes(b"x")]),
            bytes(b"123"),
        ] {
            strange(std::slice::from_ref(&value), |replies| replies.bytes(2));
            strange(&[value], |replies| replies.entry(1, None));
        }
        for value in [Value::Int(-3), Value::Nil, bytes(b"1"), array(vec![zero])] {
            strange(std::slice::from_ref(&value), Replies::left);
            strange(std::slice::from_ref(&value), Replies::flag);
        }
        strange(&[Value::Int(2)], Replies::flag);
        strange(&[Value::Okay], |replies| replies.integer(0..=2));
        strange::<Value>(&[], Replies::next);
    }

    #[test]
    fn what_the_server_refuses_is_no_reason_to_leave_it() {
        let mut refused = replies(vec![wrong_type(), wrong_type()]);
        assert!(!refused.flag().unwrap_err().is_strange());
        assert!(!refused.stamps(1).unwrap_err().is_strange());
        assert!(!refused.blame.is_given_up());
    }

    #[test]
    fn a_life_without_end_can_be_added_to_a_clock() {
        let left = replies(vec![Value::Int(i64::MAX)]).left().unwrap();
        assert_eq!(left, Some(LONGEST_LIFE));
        let held = Value::Array(vec![Value::Int(1), Value::Int(i64::MAX)]);
        assert_eq!(
            replies(vec![held]).turn(0).unwrap(),
            Turn::Held(LONGEST_LIFE)
        );
    }
}
