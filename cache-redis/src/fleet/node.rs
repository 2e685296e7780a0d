//! A node as a text: `seen_ms=1763736000000&host=web-1&process=4711&...`, which people can read, and
//! which later versions can add to.

use cache_core::metrics::{Node, NodeId};
use url::form_urlencoded::{Serializer, parse};

/// Longer texts are none of ours.
const LONGEST: usize = 4096;
/// Longer names are cut.
const LONGEST_NAME: usize = 255;

/// What is stored, but for when it was seen: the script puts that in front, by Redis's clock.
pub(super) fn text(node: &Node) -> String {
    let mut text = Serializer::new(String::new());
    text.append_pair("host", &plain(&node.host))
        .append_pair("process", &node.process.to_string())
        .append_pair("version", &plain(&node.version));
    for (name, number) in [
        ("started_ms", node.started_ms),
        ("every_ms", node.every_ms),
        ("breaker_open", u64::from(node.breaker_open)),
        ("trusted", u64::from(node.trusted)),
        ("invalidations_pending", node.invalidations_pending),
        ("local_entries", node.local_entries),
        ("local_bytes", node.local_bytes),
    ] {
        text.append_pair(name, &number.to_string());
    }
    text.finish()
}

/// The node of a field and its text. Parts that are unknown are ignored, and those that are missing or
/// make no sense are as if nothing was known; nothing where there is no telling which node, or when it was
/// seen.
pub(super) fn read(id: &[u8], text: &[u8]) -> Option<Node> {
    if text.len() > LONGEST {
        return None;
    }
    let mut node = Node::new(read_id(id)?);
    let mut seen = None;
    for (name, value) in parse(text) {
        let number = || value.parse().unwrap_or_default();
        match &*name {
            "seen_ms" => seen = value.parse().ok(),
            "host" => node.host = plain(&value),
            "process" => node.process = value.parse().unwrap_or_default(),
            "version" => node.version = plain(&value),
            "started_ms" => node.started_ms = number(),
            "every_ms" => node.every_ms = number(),
            "breaker_open" => node.breaker_open = value == "1",
            "trusted" => node.trusted = value == "1",
            "invalidations_pending" => node.invalidations_pending = number(),
            "local_entries" => node.local_entries = number(),
            "local_bytes" => node.local_bytes = number(),
            _ => {}
        }
    }
    node.seen_ms = seen?;
    Some(node)
}

fn read_id(text: &[u8]) -> Option<NodeId> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// A name that a terminal shows as it is.
fn plain(name: &str) -> String {
    let shown = name.chars().filter(|c| !c.is_control());
    shown.take(LONGEST_NAME).collect()
}
