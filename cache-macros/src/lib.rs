//! The attributes of cache-core: `#[cached(..)]`, `#[invalidates(..)]` and `#[updates(..)]`. What they
//! emit is thin; the engine that it calls is in cache-core.

#![forbid(unsafe_code)]

mod args;
mod errors;
mod expand;
mod fallback;
mod layout;
mod mention;
mod model;
mod suggest;
#[cfg(test)]
mod tests;
mod validate;

use proc_macro2::TokenStream;
use quote::quote;

use crate::args::{Cached, Invalidates, Updates};
use crate::errors::Errors;
use crate::model::Function;

/// Caches what a function returns.
///
/// The call site does not change. What is cached is found by the function and its arguments; the
/// body runs on a miss only. Works on `async fn` and plain `fn`, on methods, on generic functions,
/// with borrowed arguments, early `return` and `?`. Of an `Option` a `Some` is cached, of a `Result`
/// an `Ok`, and of anything else every value.
///
/// ```
/// use cache_core::cached;
///
/// struct Db;
///
/// impl Db {
///     async fn find(&self, id: u64) -> Result<String, std::io::Error> {
///         Ok(format!("user {id}"))
///     }
/// }
///
/// #[cached(kind = "user_profile", ttl = "30m", tags("user:{id}"), skip(db))]
/// async fn user_profile(db: &Db, id: u64) -> Result<String, std::io::Error> {
///     db.find(id).await
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// assert_eq!(user_profile(&Db, 7).await?, "user 7");
/// user_profile::invalidate(7).await?;
/// # Ok(())
/// # })
/// # }
/// ```
///
/// # Options
///
/// | option | what it says | left out |
/// | --- | --- | --- |
/// | `kind = "user_profile"` | the unit of policy and of metrics: letters from a to z, digits, `_`, `-`, `.` | required |
/// | `key(id, user.org, ..)` | what the result depends on: any expressions over the arguments that can be serialized, and nothing else | all arguments but the skipped ones |
/// | `skip(db, self)` | arguments that the result does not depend on | nothing is skipped |
/// | `tags("user:{id}", ..)` | names by which it can be invalidated; in the braces any expression over the arguments that can be displayed; `{{` and `}}` are braces | no tags but the kind's |
/// | `tags_with = \|order\| ["customer:{order.customer}"]` | tags that only the value knows: such templates, or whatever gives `Tag`s or texts | none |
/// | `cache = expression` | another cache than the installed one: a `Cache`, what is `AsRef<Cache>`, or a static `LazyLock<Cache>` | the one in scope, or the installed one |
/// | `each = ids` | the elements of this argument are looked up one by one, and the function runs for those that are missing; see below | the call is one |
/// | `entries_of = user` | with `each`: the elements are entries of that function | they are its own |
///
/// How long a value lives; each of these can also be set per kind, by operators, whose word counts.
/// A duration is seconds (`1800`), a text in w, d, h, m, s and ms (`"1h30m"`), or a `Duration`.
///
/// | option | what it says | left out |
/// | --- | --- | --- |
/// | `ttl = "30m"` | how long a value is fresh | the kind's policy decides |
/// | `ttl_with = \|token\| token.expires_in` | the same, asked of each value: a `Duration`, zero for one that is not cached, or an `Option` of one | `ttl` counts |
/// | `stale_while_revalidate = "5m"` | for how long past that it is still served while one call loads | it is not |
/// | `stale_if_error = "1h"` | for how long past that it is still served where loading fails | it is not |
/// | `outage_ttl = "1m"` | for how long local values are served while the shared tier can't be reached | they are not |
/// | `jitter = 0.1` | the part of the ttl, 0 to 0.9, by up to which it is shortened by chance | 0 |
/// | `early = false` | no load shortly before the end | one call may load early |
/// | `timeout(soft = "200ms", hard = "2s")` | how long a call waits for another's load where there is a stale value, and how long a load may take | for ever |
/// | `consistency = "strict"` | each call asks the shared tier | `"bounded"` |
/// | `capacity = 1000` | how many entries of this function are kept in this process | as memory allows |
/// | `version = 2` | entries of another version are a miss | 0 |
///
/// What is cached:
///
/// | option | what it says | left out |
/// | --- | --- | --- |
/// | `cache_none`, `cache_none = "10s"` | a `None` is cached too, for as long as a value or for its own time | it is not |
/// | `cache_err`, `cache_err = "10s"` | the same of an `Err` | it is not |
/// | `cache_if = \|value\| !value.is_empty()` | only values of which this is true | all of them |
/// | `local_only` | values stay in this process, and need only be `Clone` | they are shared |
/// | `enabled = id > 0` | asked at each call, of the arguments: else the function runs, and nothing is looked up or stored | always |
/// | `schema = 2` | the value's format, where it can't be found out or has changed its meaning | found out from the type |
/// | `returns = value` | whatever is returned is cached as it is, unless a bare type parameter, which needs this, turns out to be an `Option` or a `Result` | found out from the type |
/// | `companions`, `companions = false` | whether there are companions | see below |
/// | `method` | this is an associated function without `self` | seen by a `self` or a `Self` in it |
/// | `crate = my_crate::cache_core` | where cache-core is, for crates that export it under another name | `::cache_core` |
///
/// `key` and `skip` may stand together as long as no argument is in both. The closures see the value
/// alone, since the body has taken the arguments; a path to a function will do too. With `cache_none`
/// they see an `Option`, with `cache_err` a `Result`.
///
/// # Companions
///
/// A free function has an enum of its own name beside it, so that one `use` brings both; its name
/// can't also be a type's or a module's in the same place, unless `companions = false` does without.
/// A method has methods beside it.
///
/// | function | method | what it does |
/// | --- | --- | --- |
/// | `f::key(..)` | `self.f_key(..)` | the key of a call |
/// | `f::peek(..)` | `self.f_peek(..)` | what is cached, without loading it |
/// | `f::put(.., value)` | `self.f_put(.., value)` | caches a value as if it had been returned |
/// | `f::invalidate(..)` | `self.f_invalidate(..)` | removes what is cached |
/// | `f::refresh(..)` | `self.f_refresh(..)` | loads and caches, whatever is cached now |
/// | `f::uncached(..)` | `self.f_uncached(..)` | the function itself, past the cache |
/// | `f::warm(items)` | `self.f_warm(items)` | makes many calls, a few at a time |
///
/// What is `put` counts as loaded when `put` was called. An invalidation by *another* process that
/// comes between that and the value's arrival in the shared tier may be overtaken, so where others
/// write too, `invalidate` and let the next call load.
///
/// They take the arguments that the key is made of (`put` those of the tags too, all of them those
/// of `cache`), in the order of the function; `refresh` and `uncached` take all. A generic
/// function's are generic in the same way: `f::invalidate::<T>(7)`. A plain function's block.
///
/// `warm` takes the arguments of the calls, as tuples where there are several, and gives a `Warm`: to
/// be awaited, or for a plain function to be `run`. There is none for a method that takes anything but
/// `&self`, or where an argument is an `impl Trait`.
///
/// An attribute can't see whether a method stands in a trait's `impl`, where there is no place for
/// more. So a method without a visibility has companions only where `companions` says so.
///
/// # Methods
///
/// A method must say what of `self` is in the key, or that nothing is:
///
/// ```
/// use cache_core::cached;
///
/// struct Users {
///     tenant: String,
/// }
///
/// impl Users {
///     #[cached(kind = "greeting", key(self.tenant, id))]
///     pub fn greeting(&self, id: u64) -> String {
///         format!("hello {id} of {}", self.tenant)
///     }
///
///     // Without a `self` it can't be seen that this is in an `impl`: without `method`, the compiler
///     // complains of an enum in it.
///     #[cached(kind = "answer", method)]
///     pub fn answer(to: String) -> usize {
///         to.len()
///     }
/// }
///
/// let users = Users { tenant: "shifts".to_owned() };
/// assert_eq!(users.greeting(7), "hello 7 of shifts");
/// users.greeting_invalidate(7)?;
/// assert_eq!(Users::answer("why".to_owned()), 3);
/// Users::answer_invalidate("why".to_owned())?;
/// # Ok::<(), cache_core::Error>(())
/// ```
///
/// # Traits, and functions that return a future
///
/// A method in a trait's `impl`, or a default one in the trait, has no companions, but is cached like
/// any other. Under `#[async_trait]` the attribute stands on the method, as always. A function that
/// returns a `Pin<Box<dyn Future<Output = T>>>`, a `BoxFuture` or an `impl Future<Output = T>` is taken
/// for an `async fn` that returns `T`.
///
/// # Batches
///
/// ```
/// use std::collections::HashMap;
/// use cache_core::cached;
///
/// #[cached(kind = "user_name", tags("user:{ids}"), each = ids)]
/// async fn user_names(ids: &[u64]) -> Result<HashMap<u64, String>, std::io::Error> {
///     // One query for all that are missing.
///     Ok(ids.iter().map(|id| (*id, format!("user {id}"))).collect())
/// }
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// user_names(&[1, 2]).await?;
/// assert_eq!(user_names(&[2, 3]).await?.len(), 2); // runs for 3 alone
/// user_names::invalidate(&[2]).await?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// The argument is a `&[K]`, a `Vec<K>` or a set; what is returned is a `HashMap<K, V>`, a
/// `BTreeMap<K, V>` or a `Vec<(K, V)>`, or a `Result` or `Option` of one. In the options the
/// argument's name stands for a reference to one element. The function may run more than once, if
/// somebody else's load of an element comes to nothing; its other arguments are cloned for that. Of
/// the companions there are `refresh`, `invalidate` and `uncached`, for all of the argument's
/// elements, and `key` for one. With
/// `entries_of = user` the elements are found where `user(id)` finds them, so the key must be made
/// of the same; the kind and the policy are that function's. The tags, `ttl_with` and `tags_with` must be
/// there as on that function: else the batch is not cached, and the log says so.
///
/// # What is refused
///
/// `const`, `unsafe` and `extern` functions; results that borrow, are nothing or never come, or are
/// an `impl Trait` other than a future; an `impl Trait` in the key, since two types without a name can't be told apart.
/// Each is a compile error at the token that is at fault, and says what to write instead.
#[proc_macro_attribute]
pub fn cached(
    options: proc_macro::TokenStream,
    item: proc_macro::TokenStream,
) -> proc_macro::TokenStream {
    expand_cached(options.into(), &item.into()).into()
}

/// Invalidates what is cached when a function has succeeded: returned anything but an `Err`.
///
/// What to invalidate is noted before the body runs, which may move the arguments. It is done before
/// the function returns. Where the caller gives up in the middle, or the body panics, it is done in
/// the background, since the write may have happened.
///
/// ```
/// use cache_core::{cached, invalidates};
///
/// #[cached(kind = "user_name", tags("user:{id}"))]
/// fn user_name(id: u64) -> String {
///     format!("user {id}")
/// }
///
/// struct User {
///     id: u64,
/// }
///
/// #[invalidates(tags("user:{user.id}"), of(user_name(user.id)))]
/// fn save(user: User) -> Result<(), std::io::Error> {
///     drop(user);
///     Ok(())
/// }
///
/// assert_eq!(user_name(7), "user 7");
/// save(User { id: 7 })?;
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Options
///
/// At least one of the first four.
///
/// | option | what it invalidates |
/// | --- | --- |
/// | `tags("user:{user.id}", ..)` | all that carries a tag, as in [`macro@cached`] |
/// | `tags_with = \|saved\| ["user:{saved.id}"]` | the same by tags that only the returned value knows: of a `Result`, what the `Ok` holds |
/// | `of(user_profile(user.id), self.name(id), ..)` | what these calls have cached: a cached function, or a method with companions, with the arguments of its key |
/// | `kind = "user_profile"` | everything of a kind; may be repeated |
///
/// | option | when, and where |
/// | --- | --- |
/// | `after` | once the function has succeeded, which is also what happens where nothing is said |
/// | `before` | before it runs, whatever comes of it; with `after`, both times |
/// | `always` | after it, even if it has returned an `Err` |
/// | `cache = expression` | in another cache than the installed one |
/// | `crate = my_crate::cache_core` | where cache-core is |
///
/// Several may be stacked, on one another and on [`macro@updates`].
///
/// The value that is returned waits for the invalidation, so an async function's future is `Send`
/// only if that value is.
#[proc_macro_attribute]
pub fn invalidates(
    options: proc_macro::TokenStream,
    item: proc_macro::TokenStream,
) -> proc_macro::TokenStream {
    expand_invalidates(options.into(), &item.into()).into()
}

/// Caches what a write returns as the value of a cached function, so that the next call need not load
/// it.
///
/// The calls are named as in `of(..)` of [`macro@invalidates`], with the arguments of the key and of
/// the tags: a free function, an associated one as `Self::f(..)` or `Users::f(..)`, or a method as
/// `self.f(..)`. The write may return the value as it is, or in an `Option` or a `Result`, whichever the
/// cached function does.
///
/// ```
/// use cache_core::{cached, updates};
///
/// #[cached(kind = "user_name", tags("user:{id}"))]
/// async fn user_name(id: u64) -> Option<String> {
///     Some(format!("user {id}"))
/// }
///
/// #[updates(user_name(id))]
/// async fn rename(id: u64, name: &str) -> Result<String, std::io::Error> {
///     Ok(name.to_owned()) // the write
/// }
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// rename(7, "Ann").await?;
/// assert_eq!(user_name(7).await.as_deref(), Some("Ann")); // runs nothing
/// # Ok::<(), std::io::Error>(())
/// # })?;
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// All that carries the tags of the call is invalidated, for everybody; the entry of this key gets
/// the new value, unless another write or load has come between: then the next call loads. A write
/// that has returned an `Err` changes nothing; one that has returned `None`, was given up or has
/// panicked invalidates. What says `cache_if`, `ttl_with` and `tags_with` counts here too.
///
/// Several calls may be named, and `crate = my_crate::cache_core` says where cache-core is. The value
/// that is returned waits for the update, so an async function's future is `Send` only if that value
/// is.
#[proc_macro_attribute]
pub fn updates(
    options: proc_macro::TokenStream,
    item: proc_macro::TokenStream,
) -> proc_macro::TokenStream {
    expand_updates(options.into(), &item.into()).into()
}

fn expand_cached(options: TokenStream, item: &TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let args = Cached::parse(options, &mut errors);
    let function = function(item, "cached", &mut errors);
    if let Some(function) = &function {
        validate::cached(&args, function, &mut errors);
    }
    let settled = errors.settled();
    match (errors.into_compile_errors(), function) {
        (None, Some(function)) => expand::cached(&args, &function),
        (errors, Some(function)) => {
            let function = fallback::cached(item, args, &function, settled);
            quote!(#errors #function)
        }
        (errors, None) => quote!(#errors #item),
    }
}

fn expand_invalidates(options: TokenStream, item: &TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let args = Invalidates::parse(options, &mut errors);
    let function = function(item, "invalidates", &mut errors);
    if let Some(function) = &function {
        validate::invalidates(&args, function, &mut errors);
    }
    match (errors.into_compile_errors(), function) {
        (None, Some(function)) => expand::invalidates(&args, &function),
        (errors, _) => quote!(#errors #item),
    }
}

fn expand_updates(options: TokenStream, item: &TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let args = Updates::parse(options, &mut errors);
    let function = function(item, "updates", &mut errors);
    if let Some(function) = &function {
        validate::updates(&args, function, &mut errors);
    }
    match (errors.into_compile_errors(), function) {
        (None, Some(function)) => expand::updates(&args, &function),
        (errors, _) => quote!(#errors #item),
    }
}

/// The function, or an error at what stands in its place.
fn function(item: &TokenStream, attribute: &str, errors: &mut Errors) -> Option<Function> {
    if let Ok(other) = syn::parse2::<syn::Item>(item.clone())
        && !matches!(other, syn::Item::Fn(_) | syn::Item::Verbatim(_))
    {
        errors.on(
            other,
            format!("#[{attribute}] goes on a function or a method"),
        );
        return None;
    }
    match syn::parse2(item.clone()) {
        Ok(function) => Some(function),
        Err(error) => {
            errors.add(error);
            None
        }
    }
}
