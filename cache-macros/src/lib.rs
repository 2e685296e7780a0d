//! The attributes of cache-core: `#[cached(..)]` and `#[invalidates(..)]`. What they emit is thin;
//! the engine that it calls is in cache-core.

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
/// | `ttl = 1800`, `"1h30m"`, or a `Duration` | how long a value is fresh: seconds, or a text in w, d, h, m, s and ms | the kind's policy decides |
/// | `tags("user:{id}", ..)` | names by which it can be invalidated; in the braces any expression over the arguments that can be displayed; `{{` and `}}` are braces | no tags but the kind's |
/// | `key(id, user.org, ..)` | what the result depends on: any expressions over the arguments that can be serialized, and nothing else | all arguments but the skipped ones |
/// | `skip(db, self)` | arguments that the result does not depend on | nothing is skipped |
/// | `cache = expression` | another cache than the installed one: a `Cache`, what is `AsRef<Cache>`, or a static `LazyLock<Cache>` | the one in scope, or the installed one |
/// | `schema = 2` | the value's format, where it can't be found out or has changed its meaning | found out from the type |
/// | `returns = value` | whatever is returned is cached as it is; a bare type parameter needs it | found out from the type |
/// | `companions`, `companions = false` | whether there are companions | see below |
/// | `method` | this is an associated function without `self` | seen by a `self` or a `Self` in it |
///
/// `key` and `skip` may stand together as long as no argument is in both.
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
///
/// What is `put` counts as loaded when `put` was called. An invalidation by *another* process that
/// comes between that and the value's arrival in the shared tier may be overtaken, so where others
/// write too, `invalidate` and let the next call load.
///
/// They take the arguments that the key is made of (`put` those of the tags too, all of them those
/// of `cache`), in the order of the function; `refresh` and `uncached` take all. A generic
/// function's are generic in the same way: `f::invalidate::<T>(7)`. A plain function's block.
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
/// # What is refused
///
/// `const`, `unsafe` and `extern` functions; results that borrow, return nothing or are an
/// `impl Trait`; an `impl Trait` in the key, since two types without a name can't be told apart.
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
/// At least one of the first three.
///
/// | option | what it invalidates |
/// | --- | --- |
/// | `tags("user:{user.id}", ..)` | all that carries a tag, as in [`macro@cached`] |
/// | `key(user_profile(user.id), self.name(id), ..)` | what these calls have cached: a cached function, or a method with companions, with the arguments of its key |
/// | `kind = "user_profile"` | everything of a kind; may be repeated |
/// | `cache = expression` | says where: another cache than the installed one |
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

/// Caches what a write returns as the value of a cached function.
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
