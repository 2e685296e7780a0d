//! What this process knows of cached functions: who they are, and under which name they are stored.
//! Identity is settled here, once, when a function is first called.

use std::any::TypeId;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};

use crate::Policy;
use crate::kind::Kind;

/// The instance of a site that was called first.
#[derive(Debug)]
struct First {
    id: Option<TypeId>,
    /// The one in `registered`, which a hit need not look into.
    number: u32,
    registered: &'static Registered,
}

/// What the attribute says of a function, known at compile time.
#[derive(Debug)]
#[allow(missing_docs)]
pub struct Spec {
    pub module: &'static str,
    pub name: &'static str,
    pub kind: &'static str,
    pub file: &'static str,
    pub line: u32,
    pub column: u32,
    /// `type_name` of an item declared inside the function, or of its companion.
    pub path: fn() -> &'static str,
    /// What the attribute decides of the function's policy.
    pub policy: Given,
    pub schema: Option<u64>,
    /// Entries of another version are a miss.
    pub version: u64,
    /// Whether each value says how long it is fresh.
    pub own_ttl: bool,
    /// Whether values have tags that only they know.
    pub late_tags: bool,
    /// The tags as they are written, with `{}` for each value: what a batch over the same entries is
    /// compared with.
    pub tags: &'static [&'static str],
}

/// A policy that an attribute gives.
#[derive(Debug)]
#[allow(missing_docs)]
pub enum Given {
    /// All of it is written there.
    Known(Policy),
    /// Some of it is an expression, evaluated when the function registers.
    Asked(fn() -> Policy),
}

/// One instantiation of a site: the types its static cannot tell apart.
#[derive(Clone, Copy, Debug)]
pub struct Instance {
    /// `None` where there is only one.
    id: Option<TypeId>,
    name: fn() -> &'static str,
}

impl Instance {
    /// That of a function without types of its own.
    pub const SOLE: &Self = &Self {
        id: None,
        name: std::any::type_name::<()>,
    };

    /// The instantiation for these types. Lifetimes don't count.
    #[must_use]
    pub fn of<T: ?Sized>() -> Self {
        Self {
            id: Some(typeid::of::<T>()),
            name: std::any::type_name::<T>,
        }
    }
}

/// A cached function in the source: one static each.
#[derive(Debug)]
pub struct Site {
    spec: Spec,
    /// Most sites have one instance.
    first: OnceLock<First>,
    /// A `static` inside a generic function is shared by all of its instantiations.
    rest: RwLock<Vec<(Option<TypeId>, &'static Registered)>>,
    /// Whether it was logged that a batch can't share its entries.
    complained: AtomicBool,
}

impl Site {
    /// The site of `spec`.
    #[must_use]
    pub const fn new(spec: Spec) -> Self {
        Self {
            spec,
            first: OnceLock::new(),
            rest: RwLock::new(Vec::new()),
            complained: AtomicBool::new(false),
        }
    }

    /// Whether a batch that says this of its elements may share the entries of this function. One whose
    /// elements carried other tags would leave behind what an invalidation by those of the function
    /// can't reach (invariant 1).
    #[must_use]
    pub fn shares(&'static self, tags: &[&str], own_ttl: bool, late_tags: bool) -> bool {
        let spec = &self.spec;
        let sorted = |tags: &[&'static str]| {
            let mut tags = tags.to_vec();
            tags.sort_unstable();
            tags
        };
        let mut theirs = tags.to_vec();
        theirs.sort_unstable();
        if sorted(spec.tags) == theirs && (spec.own_ttl, spec.late_tags) == (own_ttl, late_tags) {
            return true;
        }
        if !self.complained.swap(true, Ordering::Relaxed) {
            tracing::error!(
                kind = spec.kind,
                "{}:{}:{}: a batch over the entries of {} is not cached, since it does not have the \
                 tags {:?}, ttl_with and tags_with that {} has: write the same on both",
                spec.file,
                spec.line,
                spec.column,
                spec.name,
                spec.tags,
                spec.name,
            );
        }
        false
    }

    /// The number of an instance of the site, if it is the first one that was called.
    #[inline]
    pub(crate) fn first(&'static self, instance: &Instance) -> Option<u32> {
        let first = self.first.get()?;
        (instance.id.is_none() || first.id == instance.id).then_some(first.number)
    }

    /// What this process knows of an instance of the site.
    pub(crate) fn registered(&'static self, instance: &Instance) -> &'static Registered {
        let first = self.first.get_or_init(|| {
            let registered = register(&self.spec, instance);
            First {
                id: instance.id,
                number: registered.number,
                registered,
            }
        });
        if first.id == instance.id {
            return first.registered;
        }
        let find = |rest: &[(Option<TypeId>, &'static Registered)]| {
            rest.iter()
                .find(|(id, _)| *id == instance.id)
                .map(|(_, registered)| *registered)
        };
        if let Some(found) = find(&self.rest.read().unwrap_or_else(PoisonError::into_inner)) {
            return found;
        }
        let mut rest = self.rest.write().unwrap_or_else(PoisonError::into_inner);
        find(&rest).unwrap_or_else(|| {
            let registered = register(&self.spec, instance);
            rest.push((instance.id, registered));
            registered
        })
    }
}

/// A function, instantiated, as this process knows it. Kept for ever: there are finitely many.
#[derive(Debug)]
pub(crate) struct Registered {
    /// Its number in this process.
    pub(crate) number: u32,
    pub(crate) kind: &'static str,
    /// The name it is stored under.
    pub(crate) name: Arc<str>,
    /// The name that another process may store it under: a function's name gets a suffix only where
    /// two of one name share a kind, and which of the two does, depends on who comes first.
    pub(crate) other: Arc<str>,
    /// Identity: in the header of every entry.
    pub(crate) origin: u128,
    pub(crate) policy: Policy,
    pub(crate) schema: Option<u64>,
    pub(crate) version: u64,
    pub(crate) own_ttl: bool,
    pub(crate) late_tags: bool,
    /// Why it is not cached, if it is not.
    pub(crate) fault: Option<String>,
}

#[derive(Default)]
struct Known {
    functions: u32,
    /// By identity: where it was claimed.
    identities: HashMap<String, String>,
    /// By kind and plain name: whose it is.
    names: HashMap<(&'static str, &'static str), String>,
}

fn register(spec: &Spec, instance: &Instance) -> &'static Registered {
    static KNOWN: LazyLock<Mutex<Known>> = LazyLock::new(Mutex::default);
    // The user's own code, which may call a cached function that registers itself: before the lock.
    let policy = match &spec.policy {
        Given::Known(policy) => policy.clone(),
        Given::Asked(ask) => ask(),
    };
    let mut known: MutexGuard<'_, Known> = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let identity = identity(spec, (instance.name)());
    let place = format!("{}:{}:{}", spec.file, spec.line, spec.column);
    let fault = fault(
        spec,
        &policy,
        &identity,
        known.identities.get(&identity),
        &place,
    );
    known.identities.entry(identity.clone()).or_insert(place);

    let digest = blake3::hash(identity.as_bytes());
    let mut origin = [0; 16];
    origin.copy_from_slice(&digest.as_bytes()[..16]);
    let plain: Arc<str> = spec.name.into();
    let suffixed: Arc<str> = format!("{}~{}", spec.name, &digest.to_hex()[..8]).into();
    let owner = known
        .names
        .entry((spec.kind, spec.name))
        .or_insert_with(|| identity.clone());
    let (name, other) = if *owner == identity {
        (plain, suffixed)
    } else {
        (suffixed, plain)
    };
    let number = known.functions;
    known.functions += 1;
    Box::leak(Box::new(Registered {
        number,
        kind: spec.kind,
        name,
        other,
        origin: u128::from_le_bytes(origin),
        policy,
        schema: spec.schema,
        version: spec.version,
        own_ttl: spec.own_ttl,
        late_tags: spec.late_tags,
        fault,
    }))
}

/// Why a function cannot be cached, logged once.
fn fault(
    spec: &Spec,
    policy: &Policy,
    identity: &str,
    claimed: Option<&String>,
    place: &str,
) -> Option<String> {
    let fault = if let Err(error) = Kind::new(spec.kind) {
        error.to_string()
    } else if let Err(error) = policy.check(spec.kind) {
        error.to_string()
    } else if let Some(claimed) = claimed {
        // Two functions that cannot be told apart must not meet in one entry: the second is run
        // on each call.
        format!(
            "{identity} is claimed by {claimed} already, and nothing tells the two apart: \
             give one of them another name, or move it to a module of its own"
        )
    } else {
        return None;
    };
    let fault = format!("{place}: {} is not cached: {fault}", spec.name);
    tracing::error!(kind = spec.kind, "{fault}");
    Some(fault)
}

/// The full path of the function, `Self`, the instantiation. A function inside another one's body
/// is known by its position too, since the path does not say in which block it stands.
///
/// The path of a method in a trait's `impl` names the trait, and one type may have methods of one
/// name from two traits.
fn identity(spec: &Spec, instance: &str) -> String {
    let path = (spec.path)();
    let (module, name) = (spec.module, spec.name);
    let nested = !is_at_module_level(path, module, name);
    let Spec {
        file, line, column, ..
    } = spec;
    match (path.starts_with('<'), nested) {
        (_, true) => format!("{module}::{name} <{instance}> in {path} at {file}:{line}:{column}"),
        (true, false) => format!("{module}::{name} <{instance}> in {path}"),
        (false, false) => format!("{module}::{name} <{instance}>"),
    }
}

/// Whether the path of an item in a function (or of its companion) has nothing between the module
/// and the function but, for a method, its type.
fn is_at_module_level(path: &str, module: &str, name: &str) -> bool {
    let path = path.strip_prefix('<').unwrap_or(path);
    let Some(rest) = path
        .strip_prefix(module)
        .and_then(|rest| rest.strip_prefix("::"))
    else {
        return false;
    };
    let name = name.strip_prefix("r#").unwrap_or(name);
    // The companion of a function, or an item inside it.
    if rest == name
        || rest
            .strip_prefix(name)
            .is_some_and(|rest| rest.starts_with("::"))
    {
        return true;
    }
    // A method: `Type::name::Item`, `Type<..>::name::Item` or `Type<..> as Trait>::name::Item`.
    let after_type = rest
        .find(|c: char| !(c.is_alphanumeric() || c == '_'))
        .map_or("", |end| &rest[end..]);
    let after_generics = skip_generics(after_type);
    if after_generics.starts_with(" as ") {
        return true;
    }
    // With companions, the item is in the function beside it that owns the site.
    let owner = format!("__{name}_site");
    after_generics.strip_prefix("::").is_some_and(|rest| {
        [name, &owner].into_iter().any(|name| {
            rest.strip_prefix(name)
                .is_some_and(|rest| rest.starts_with("::"))
        })
    })
}

fn skip_generics(text: &str) -> &str {
    if !text.starts_with('<') {
        return text;
    }
    let mut depth = 0_usize;
    for (at, character) in text.char_indices() {
        match character {
            '<' => depth += 1,
            '>' if !text[..at].ends_with('-') => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return &text[at + 1..];
        }
    }
    ""
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn functions_and_methods_at_module_level_are_told_from_nested_ones() {
        for path in [
            "a::m::get",
            "a::m::get::Marker",
            "a::m::get::{{closure}}::Marker",
            "a::m::A::get::Marker",
            "a::m::A<_>::get::Marker",
            "a::m::A::__get_site::Marker",
            "a::m::A<fn(u8) -> a::m::B<u8>>::get::Marker",
            "<a::m::A<u8> as a::m::Trait>::get::Marker",
        ] {
            assert!(is_at_module_level(path, "a::m", "get"), "{path}");
        }
        for path in [
            "a::m::outer::get",
            "a::m::outer::A::get::Marker",
            "a::m::outer::{{closure}}::get",
            "<a::m::outer::A as a::m::Trait>::get::Marker",
            "a::other::A::get::Marker",
        ] {
            assert!(!is_at_module_level(path, "a::m", "get"), "{path}");
        }
    }

    const fn spec(kind: &'static str, module: &'static str, line: u32) -> Spec {
        Spec {
            module,
            name: "get",
            kind,
            file: "registry.rs",
            line,
            column: 1,
            path: || "nested::somewhere::get",
            policy: Given::Asked(|| Policy::new().ttl(Duration::from_secs(1))),
            schema: None,
            version: 0,
            own_ttl: false,
            late_tags: false,
            tags: &[],
        }
    }

    #[test]
    fn two_functions_of_one_name_in_a_kind_get_two_names_that_each_knows_of() {
        static ONE: Site = Site::new(spec("registry_two", "one", 1));
        static TWO: Site = Site::new(spec("registry_two", "two", 2));
        let one = ONE.registered(&Instance::of::<()>());
        let two = TWO.registered(&Instance::of::<()>());
        assert_eq!(&*one.name, "get");
        assert!(two.name.starts_with("get~"), "{}", two.name);
        assert_eq!(&*two.other, "get");
        assert!(one.other.starts_with("get~"));
        assert_ne!(one.other, two.name);
        assert_ne!(one.origin, two.origin);
        assert!(one.fault.is_none() && two.fault.is_none());
    }

    #[test]
    fn a_site_that_claims_another_ones_identity_is_refused() {
        static ONE: Site = Site::new(spec("registry_same", "same", 1));
        static TWO: Site = Site::new(spec("registry_same", "same", 1));
        assert!(ONE.registered(&Instance::of::<()>()).fault.is_none());
        let fault = TWO.registered(&Instance::of::<()>()).fault.as_deref();
        assert!(
            fault.is_some_and(|fault| fault.contains("claimed")),
            "{fault:?}"
        );
    }

    #[test]
    fn methods_of_one_name_from_two_traits_are_told_apart() {
        let of = |path| {
            let spec = Spec {
                path,
                ..spec("registry_traits", "traits", 1)
            };
            identity(&spec, "(traits::A,)")
        };
        let one = of(|| "<traits::A as traits::One>::get::Marker");
        let two = of(|| "<traits::A as traits::Two>::get::Marker");
        assert_ne!(one, two);
        assert!(!one.contains("registry.rs"), "no position: {one}");
    }

    #[test]
    fn instantiations_of_one_site_are_told_apart_and_found_again() {
        static SITE: Site = Site::new(spec("registry_generic", "generic", 1));
        let bytes = SITE.registered(&Instance::of::<(u8,)>());
        let words = SITE.registered(&Instance::of::<(u16,)>());
        assert_ne!(bytes.origin, words.origin);
        assert_ne!(bytes.name, words.name);
        assert_eq!(
            words.number,
            SITE.registered(&Instance::of::<(u16,)>()).number
        );
        assert_eq!(
            bytes.number,
            SITE.registered(&Instance::of::<(u8,)>()).number
        );
    }

    #[test]
    fn a_ttl_of_zero_is_refused() {
        static SITE: Site = Site::new(Spec {
            policy: Given::Known(Policy::new().ttl(Duration::ZERO)),
            ..spec("registry_zero", "zero", 1)
        });
        assert!(SITE.registered(&Instance::of::<()>()).fault.is_some());
    }
}
