//! Invalidations that are still to be applied, coalesced and bounded: what overflows is widened,
//! never dropped.

use std::collections::BTreeSet;

use crate::tag::Tag;

/// How many tags and keys are kept one by one.
const LENGTH: usize = 10_000;

/// Tags and keys to be invalidated.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Queue {
    pub(super) tags: BTreeSet<String>,
    pub(super) keys: BTreeSet<String>,
}

impl Queue {
    /// Adds what an invalidation concerns, and tells whether that widened it.
    pub(super) fn add(&mut self, tags: &[String], keys: &[String]) -> bool {
        self.tags.extend(tags.iter().cloned());
        self.keys.extend(keys.iter().cloned());
        self.widen()
    }

    /// Adds what another queue holds, and tells whether that widened it.
    pub(super) fn join(&mut self, other: Self) -> bool {
        self.tags.extend(other.tags);
        self.keys.extend(other.keys);
        self.widen()
    }

    /// What of this queue another one does not cover.
    pub(super) fn beyond(mut self, other: &Self) -> Self {
        self.tags.retain(|tag| !other.covers_tag(tag));
        self.keys.retain(|key| !other.covers_key(key));
        self
    }

    pub(super) fn len(&self) -> usize {
        self.tags.len() + self.keys.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.tags.is_empty() && self.keys.is_empty()
    }

    /// Whether invalidating what is in here invalidates this tag as well: every entry carries the
    /// tags of its kind and of the namespace.
    fn covers_tag(&self, tag: &str) -> bool {
        self.tags.contains(tag)
            || kind_of_own_tag(tag).is_some_and(|kind| self.covers_kind(kind))
            || self.covers_all()
    }

    fn covers_key(&self, key: &str) -> bool {
        self.keys.contains(key)
            || kind_of_key(key).is_some_and(|kind| self.covers_kind(kind))
            || self.covers_all()
    }

    fn covers_kind(&self, kind: &str) -> bool {
        self.tags.contains(Tag::of_kind(kind).as_str())
    }

    fn covers_all(&self) -> bool {
        self.tags.contains(Tag::namespace().as_str())
    }

    /// Too many keys become the tags of their kinds, and too many tags the namespace's own, which
    /// every entry carries.
    fn widen(&mut self) -> bool {
        if self.len() <= LENGTH {
            return false;
        }
        let mut kinds: BTreeSet<String> = self
            .keys
            .iter()
            .map(|key| kind_of_key(key).map_or_else(Tag::namespace, Tag::of_kind))
            .map(|tag| tag.as_str().to_owned())
            .collect();
        self.tags.retain(|tag| match kind_of_own_tag(tag) {
            Some(kind) => {
                kinds.insert(Tag::of_kind(kind).as_str().to_owned());
                false
            }
            None => true,
        });
        self.keys.clear();
        self.tags.append(&mut kinds);
        if self.len() > LENGTH {
            self.tags = BTreeSet::from([Tag::namespace().as_str().to_owned()]);
        }
        true
    }
}

/// The kind of `kind:function:arguments`.
fn kind_of_key(key: &str) -> Option<&str> {
    key.split_once(':').map(|(kind, _)| kind)
}

/// The kind of `~kind:function:arguments`, the tag of one key. Tags that users name don't begin
/// with `~`.
fn kind_of_own_tag(tag: &str) -> Option<&str> {
    tag.strip_prefix('~').and_then(kind_of_key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(queue: &Queue) -> Vec<&str> {
        queue.tags.iter().map(String::as_str).collect()
    }

    #[test]
    fn an_overflowing_queue_widens_and_never_drops() {
        let mut queue = Queue::default();
        let keys: Vec<String> = (0..LENGTH).map(|id| format!("profile:get:{id}")).collect();
        assert!(queue.add(&["user:1".into(), "~other:get:1".into()], &keys));
        assert_eq!(queue.keys.len(), 0);
        assert_eq!(
            tags(&queue),
            ["user:1", "~other", "~profile"],
            "the keys became their kinds"
        );
        let many: Vec<String> = (0..=LENGTH).map(|id| format!("user:{id}")).collect();
        assert!(queue.add(&many, &[]));
        assert_eq!(tags(&queue), ["~"]);
    }

    #[test]
    fn what_is_queued_twice_is_kept_once() {
        let mut queue = Queue::default();
        queue.add(&["a".into()], &["k:f:1".into()]);
        assert!(!queue.add(&["a".into()], &["k:f:1".into()]));
        assert_eq!(queue.len(), 2);
    }

    #[test]
    fn what_a_kind_or_the_namespace_covers_is_not_beyond_it() {
        let mut queue = Queue::default();
        queue.add(&["~k".into()], &["kk:f:1".into()]);
        let mut more = Queue::default();
        more.add(
            &["~k:f:2".into(), "user:1".into(), "~kk:f:1".into()],
            &["k:f:1".into(), "kk:f:1".into(), "kk:f:2".into()],
        );
        let beyond = more.clone().beyond(&queue);
        assert_eq!(tags(&beyond), ["user:1", "~kk:f:1"]);
        assert_eq!(beyond.keys.iter().collect::<Vec<_>>(), ["kk:f:2"]);
        queue.add(&["~".into()], &[]);
        assert!(more.beyond(&queue).is_empty());
    }
}
