//! What runs inside Redis: each script acts on the keys of one slot, in one step. `update` is the one
//! that names more, and says how it comes apart.
//!
//! A key of another type than ours (`pcall` returns a table then) counts as absent and is
//! overwritten: it is in our namespace, and nothing else would ever remove it.

use std::sync::LazyLock;

use redis::{Pipeline, Script, ToRedisArgs};

use crate::wire::Packed;

/// Keys: entry, lease. Arguments: token, its life, force, the id seen or nothing, limit.
pub(crate) static LEASE: Body = Body::new(include_str!("scripts/lease.lua"), || {
    digest(include_str!("scripts/lease.lua"))
});

/// Key: stamp. Arguments: a fresh stamp, its life, the life below which one is prolonged.
pub(crate) static STAMP: Body = Body::new(include_str!("scripts/stamp.lua"), || {
    digest(include_str!("scripts/stamp.lua"))
});

/// Keys: entry, lease. Arguments: token, bytes, their life.
pub(crate) static FILL: Body = Body::new(include_str!("scripts/fill.lua"), || {
    digest(include_str!("scripts/fill.lua"))
});

/// Keys: entry, lease, stamps. Arguments: token, how many stamps are kept, the life of one, the stamps
/// as noted, fresh ones for those that are not kept.
pub(crate) static UPDATE: Body = Body::new(include_str!("scripts/update.lua"), || {
    digest(include_str!("scripts/update.lua"))
});

/// Key: lease. Arguments: token, its life.
pub(crate) static RENEW: Body = Body::new(include_str!("scripts/renew.lua"), || {
    digest(include_str!("scripts/renew.lua"))
});

/// Key: lease. Argument: token.
pub(crate) static RELEASE: Body = Body::new(include_str!("scripts/release.lua"), || {
    digest(include_str!("scripts/release.lua"))
});

/// Key: figures of a minute. Arguments: the node's field, the report's sequence, when the hash ends,
/// names and what is added to each.
pub(crate) static REPORT: Body = Body::new(include_str!("scripts/report.lua"), || {
    digest(include_str!("scripts/report.lua"))
});

/// Key: nodes. Arguments: id, text, whether it leaves, the life of the hash.
pub(crate) static NODE: Body = Body::new(include_str!("scripts/node.lua"), || {
    digest(include_str!("scripts/node.lua"))
});

/// A script, and the digest a server knows it by.
pub(crate) struct Body {
    source: &'static str,
    digest: LazyLock<String>,
}

impl Body {
    const fn new(source: &'static str, digest: fn() -> String) -> Self {
        Self {
            source,
            digest: LazyLock::new(digest),
        }
    }

    /// Begins the command that runs it; its arguments follow.
    pub(crate) fn start<'a, K: AsRef<str> + ToRedisArgs>(
        &self,
        commands: &'a mut Pipeline,
        sending: Sending,
        keys: &[K],
    ) -> &'a mut Pipeline {
        match sending {
            Sending::Digest => commands.cmd("EVALSHA").arg(self.digest.as_str()),
            Sending::Source => commands.cmd("EVAL").arg(self.source),
        }
        .arg(keys.len())
        .arg(keys)
    }

    /// The same, as it is sent: so many keys follow, and so many arguments.
    pub(crate) fn ask<'a>(
        &self,
        commands: &'a mut Packed,
        sending: Sending,
        keys: usize,
        arguments: usize,
    ) -> &'a mut Packed {
        let (name, body) = match sending {
            Sending::Digest => ("EVALSHA", self.digest.as_str()),
            Sending::Source => ("EVAL", self.source),
        };
        commands
            .command(name, 2 + keys + arguments)
            .argument(&[body])
            .number(keys)
    }
}

fn digest(source: &str) -> String {
    Script::new(source).get_hash().to_owned()
}

/// How scripts are sent: by their digest, or, to a server that does not have them, in full, which
/// leaves them there. In full needs no SCRIPT LOAD, and can't be answered with NOSCRIPT again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sending {
    Digest,
    Source,
}
