//! What a function says of its values: whether one is cached (`cache_if`), for how long (`ttl_with`), and
//! under which tags (`tags_with`).

use std::any::Any;
use std::time::Duration;

use super::ticket::usual_ttl;
use crate::policy::Settings;
use crate::shape::Class;
use crate::{Error, Result, Tag, ttl};

/// The terms of a function's values, in the order in which they are asked. Their type is forgotten: most
/// functions have none, and what is compiled for each type is compiled for all of those too.
#[derive(Default)]
pub(super) struct Terms(Vec<Box<dyn Term>>);

/// One of them.
trait Term: Send + Sync {
    /// Adds what it says of a value; `false` where that is not cached.
    fn add(&self, value: &dyn Any, said: &mut Said) -> bool;
}

/// What was said of a value.
struct Said {
    ttl: Duration,
    tags: Vec<String>,
}

struct CacheIf<V>(fn(&V) -> bool);
struct TtlWith<V, D>(fn(&V) -> D);
struct TagsWith<V, T>(fn(&V) -> T);

impl<V: 'static> Term for CacheIf<V> {
    fn add(&self, value: &dyn Any, _: &mut Said) -> bool {
        value.downcast_ref().is_some_and(self.0)
    }
}

impl<V: 'static, D: IntoTtl> Term for TtlWith<V, D> {
    fn add(&self, value: &dyn Any, said: &mut Said) -> bool {
        let ttl = value
            .downcast_ref()
            .and_then(|value| (self.0)(value).into_ttl());
        said.ttl = ttl.unwrap_or(said.ttl);
        // Less is nothing.
        said.ttl >= SHORTEST
    }
}

impl<V: 'static, T: IntoIterator<Item: IntoTag>> Term for TagsWith<V, T> {
    fn add(&self, value: &dyn Any, said: &mut Said) -> bool {
        let tags = value.downcast_ref().map(self.0).into_iter().flatten();
        let tags: Result<Vec<Tag>> = tags.map(IntoTag::into_tag).collect();
        match tags {
            Ok(tags) => {
                said.tags = tags.iter().map(|tag| tag.as_str().to_owned()).collect();
                true
            }
            Err(error) => {
                // Without all of its tags an entry would outlive an invalidation.
                tracing::debug!("a value is not cached: {error}");
                false
            }
        }
    }
}

impl Terms {
    pub(super) fn cache_if<V: 'static>(&mut self, cache_if: fn(&V) -> bool) {
        self.0.push(Box::new(CacheIf(cache_if)));
    }

    pub(super) fn ttl_with<V: 'static, D: IntoTtl + 'static>(&mut self, ttl: fn(&V) -> D) {
        self.0.push(Box::new(TtlWith(ttl)));
    }

    pub(super) fn tags_with<V: 'static, T>(&mut self, tags: fn(&V) -> T)
    where
        T: IntoIterator<Item: IntoTag> + 'static,
    {
        self.0.push(Box::new(TagsWith(tags)));
    }

    /// How long this value is fresh, where the settings say how long those of its class are, and its own tags.
    /// `None`: it is not cached.
    pub(super) fn of_class(
        &self,
        value: &dyn Any,
        settings: &Settings,
        class: Class,
    ) -> Option<(Duration, Vec<String>)> {
        let mut said = Said {
            ttl: usual_ttl(settings, class),
            tags: Vec::new(),
        };
        let is_cached = self.0.iter().all(|term| term.add(value, &mut said));
        // Beyond the longest it is cut short where all are.
        let ttl = said.ttl.min(ttl::LONGEST);
        (is_cached && ttl >= SHORTEST).then_some((ttl, said.tags))
    }
}

/// What is fresh for less is not cached.
const SHORTEST: Duration = Duration::from_millis(1);

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
