//! Expansions as a user would read them, kept in `expansions/`. `UPDATE=1 cargo test -p cache-macros`
//! writes them anew; the difference is then for the reviewer.

use std::path::PathBuf;

use proc_macro2::TokenStream;
use quote::quote;

use crate::{expand_cached, expand_invalidates, expand_updates};

/// Compares an expansion with its file.
fn golden(name: &str, expansion: &TokenStream) {
    let file = syn::parse2(expansion.clone())
        .unwrap_or_else(|error| panic!("{name} does not expand to items: {error}\n{expansion}"));
    let found = prettyplease::unparse(&file);
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("src/tests/expansions")
        .join(format!("{name}.rs"));
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &found).expect("the golden file can be written");
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == expected,
        "the expansion of {name} has changed; if that is meant, run with UPDATE=1\n\n{found}"
    );
}

fn cached(name: &str, options: TokenStream, item: &TokenStream) {
    golden(name, &expand_cached(options, item));
}

/// Methods are shown in an impl, where they stand.
fn cached_method(name: &str, options: TokenStream, item: &TokenStream) {
    let methods = expand_cached(options, item);
    golden(name, &quote!(impl Users { #methods }));
}

#[test]
fn an_async_function() {
    cached(
        "async_function",
        quote!(
            kind = "user_profile",
            ttl = "30m",
            tags("user:{id}"),
            skip(db)
        ),
        &quote! {
            /// Finds a user.
            #[tracing::instrument]
            pub(crate) async fn user_profile(db: &Db, id: u64) -> Result<Profile, DbError> {
                db.load(id).await
            }
        },
    );
}

#[test]
fn a_plain_generic_function() {
    cached(
        "plain_generic_function",
        quote!(
            kind = "parsed",
            ttl = TTL,
            schema = 3,
            cache = caches.get(name),
            key(text.trim())
        ),
        &quote! {
            #[cfg(unix)]
            #[deprecated]
            #[expect(unused_variables)]
            fn parsed<'a, T: FromStr + ?Sized, const N: usize>(text: &'a str, caches: &Caches, name: &str) -> Option<T>
            where
                T: Clone,
            {
                text.parse().ok()
            }
        },
    );
}

#[test]
fn patterns() {
    cached(
        "patterns",
        quote!(kind = "sum", tags("sum:{a}"), skip(c)),
        &quote! {
            fn sum((a, mut b): (u32, u32), mut c: u32, _: u8) -> u32 {
                a + b + c
            }
        },
    );
}

#[test]
fn a_method_with_companions() {
    cached_method(
        "method_with_companions",
        quote!(kind = "profile", key(self.tenant, id)),
        &quote! {
            pub async fn profile(self: Arc<Self>, id: u64) -> Option<Profile> {
                self.find(id).await
            }
        },
    );
}

#[test]
fn a_method_alone() {
    cached_method(
        "method_alone",
        quote!(kind = "profile", skip(self)),
        &quote! {
            async fn profile<T: Id>(&self, mut id: T) -> Result<Profile, Error> {
                id.step();
                self.find(id).await
            }
        },
    );
}

#[test]
fn a_function_alone() {
    cached(
        "function_alone",
        quote!(kind = "sum", companions = false, returns = value),
        &quote! {
            fn sum<T: Number>(a: T, b: T) -> T {
                a + b
            }
        },
    );
}

#[test]
fn a_function_with_many_options() {
    cached(
        "many_options",
        quote!(
            kind = "orders",
            ttl = TTL * 2,
            ttl_with = |order| order.expires_in,
            tags_with = |order| ["customer:{order.customer}"],
            cache_none = "10s",
            cache_err,
            cache_if = Order::keep,
            stale_if_error = "1h",
            jitter = 0.1,
            early = false,
            timeout(hard = "2s"),
            consistency = "strict",
            version = 2,
            enabled = id > 0,
            companions = false,
            crate = crate::reexported::cache_core
        ),
        &quote! {
            fn order(id: u64) -> Result<Option<Order>, DbError> {
                find(id)
            }
        },
    );
}

#[test]
fn a_method_of_async_trait() {
    cached_method(
        "async_trait_method",
        quote!(kind = "profile", key(self.tenant, id)),
        &quote! {
            fn profile<'life0, 'async_trait>(
                &'life0 self,
                id: u64,
            ) -> ::core::pin::Pin<Box<dyn ::core::future::Future<Output = Option<Profile>> + ::core::marker::Send + 'async_trait>>
            where
                'life0: 'async_trait,
                Self: 'async_trait,
            {
                Box::pin(async move {
                    let __self = self;
                    let id = id;
                    let __ret: Option<Profile> = { __self.find(id).await };
                    __ret
                })
            }
        },
    );
}

#[test]
fn a_batch() {
    cached(
        "batch",
        quote!(entries_of = user, each = ids, tags("user:{ids}"), skip(db)),
        &quote! {
            async fn users(db: &Db, ids: &[u64]) -> Result<HashMap<u64, User>, DbError> {
                db.users(ids).await
            }
        },
    );
}

#[test]
fn an_invalidating_async_function() {
    golden(
        "invalidating_async_function",
        &expand_invalidates(
            quote!(
                tags("user:{user.id}", "users"),
                kind = "user_list",
                of(
                    crate::users::profile::<Id>(user.id),
                    self.name(user.id),
                    Users::all()
                ),
                cache = &CACHE
            ),
            &quote! {
                /// Saves a user.
                pub async fn save(db: &Db, user: User) -> Result<(), DbError> {
                    db.save(user).await
                }
            },
        ),
    );
}

#[test]
fn an_invalidating_plain_function() {
    golden(
        "invalidating_plain_function",
        &expand_invalidates(
            quote!(kind = "user_list"),
            &quote! {
                fn clear(users: &mut Vec<User>) {
                    users.clear();
                }
            },
        ),
    );
}

#[test]
fn an_updating_async_function() {
    golden(
        "updating_async_function",
        &expand_updates(
            quote!(user_profile(user.id), self.names(user.id)),
            &quote! {
                async fn save(&self, user: User) -> Result<Profile, DbError> {
                    self.db.save(user).await
                }
            },
        ),
    );
}

#[test]
fn mistakes_leave_the_function_as_it_is() {
    cached(
        "mistakes",
        quote!(kind = "User", tll = "30m"),
        &quote! {
            #[cfg(unix)]
            pub async fn user_profile(db: &Db, id: u64) -> Result<Profile, DbError> {
                db.load(id).await
            }
        },
    );
}

#[test]
fn what_does_not_parse_comes_back_as_it_is() {
    let item = quote!(async fn half(id: u64) -> u64 { id. });
    let expansion = expand_cached(quote!(kind = "half"), &item).to_string();
    // The body is never looked into: the compiler says what is wrong with it, where it is wrong.
    assert!(expansion.contains("{ id . }"), "{expansion}");
    assert!(!expansion.contains("compile_error"), "{expansion}");
}
