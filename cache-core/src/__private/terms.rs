//! What a function says of its values: whether one is cached (`cache_if`), for how long (`ttl_with`), and
//! under which tags (`tags_with`).

use std::time::Duration;

use crate::{Error, Result, Tag, ttl};

/// The terms of values of type `V`. Boxed, where what is written may return one type or another.
pub(super) struct Terms<V> {
    cache_if: Option<fn(&V) -> bool>,
    ttl_with: Option<Box<OfValue<V, Option<Duration>>>>,
    tags_with: Option<Box<OfValue<V, Result<Vec<Tag>>>>>,
}

type OfValue<V, T> = dyn Fn(&V) -> T + Send + Sync;

impl<V> Default for Terms<V> {
    fn default() -> Self {
        Self {
            cache_if: None,
            ttl_with: None,
            tags_with: None,
        }
    }
}

impl<V: 'static> Terms<V> {
    pub(super) fn cache_if(&mut self, cache_if: fn(&V) -> bool) {
        self.cache_if = Some(cache_if);
    }

    pub(super) fn ttl_with<D: IntoTtl + 'static>(&mut self, ttl: fn(&V) -> D) {
        self.ttl_with = Some(Box::new(move |value| ttl(value).into_ttl()));
    }

    pub(super) fn tags_with<T>(&mut self, tags: fn(&V) -> T)
    where
        T: IntoIterator<Item: IntoTag> + 'static,
    {
        self.tags_with = Some(Box::new(move |value| {
            tags(value).into_iter().map(IntoTag::into_tag).collect()
        }));
    }

    /// How long this value is fresh, where `usual` is what others of its class are, and its own tags.
    /// `None`: it is not cached.
    pub(super) fn of(&self, value: &V, usual: Duration) -> Option<(Duration, Vec<String>)> {
        if self.cache_if.is_some_and(|cache_if| !cache_if(value)) {
            return None;
        }
        let ttl = match &self.ttl_with {
            None => None,
            Some(ttl_with) => ttl_with(value),
        };
        let ttl = worth_it(ttl.unwrap_or(usual))?;
        let tags = match &self.tags_with {
            None => Vec::new(),
            Some(tags_with) => texts(tags_with(value))?,
        };
        Some((ttl, tags))
    }
}

/// How long a value is fresh, if it is at all. Beyond the longest it is cut short where all are; less
/// than a millisecond is nothing.
fn worth_it(ttl: Duration) -> Option<Duration> {
    let ttl = ttl.min(ttl::LONGEST);
    (ttl >= Duration::from_millis(1)).then_some(ttl)
}

fn texts(tags: Result<Vec<Tag>>) -> Option<Vec<String>> {
    match tags {
        Ok(tags) => Some(tags.iter().map(|tag| tag.as_str().to_owned()).collect()),
        Err(error) => {
            // Without all of its tags an entry would outlive an invalidation.
            tracing::debug!("a value is not cached: {error}");
            None
        }
    }
}

/// What `ttl_with` may return.
#[diagnostic::on_unimplemented(
    message = "`ttl_with` returns a `Duration`, or an `Option` of one, and not `{Self}`",
    label = "expected a `Duration`",
    note = "write `Duration::from_secs(..)`; `None` stands for the usual ttl, and zero for a value that is not cached"
)]
pub trait IntoTtl {
    /// How long the value is fresh; `None`: as long as others.
    fn into_ttl(self) -> Option<Duration>;
}

impl IntoTtl for Duration {
    fn into_ttl(self) -> Option<Duration> {
        Some(self)
    }
}

impl IntoTtl for Option<Duration> {
    fn into_ttl(self) -> Option<Duration> {
        self
    }
}

/// What stands for one tag.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a tag",
    label = "expected a `Tag`, a `String` or a `&'static str`",
    note = "write the tags as texts with values in braces, `|order| [\"customer:{{order.customer}}\"]`, or make them with `Tag::escaped`"
)]
pub trait IntoTag {
    /// The tag.
    ///
    /// # Errors
    /// Where there can be no such tag.
    fn into_tag(self) -> Result<Tag>;
}

impl IntoTag for Tag {
    fn into_tag(self) -> Result<Tag> {
        Ok(self)
    }
}

impl IntoTag for Result<Tag, Error> {
    fn into_tag(self) -> Result<Tag> {
        self
    }
}

impl IntoTag for String {
    fn into_tag(self) -> Result<Tag> {
        Tag::new(&self)
    }
}

impl IntoTag for &'static str {
    fn into_tag(self) -> Result<Tag> {
        Tag::new(self)
    }
}
