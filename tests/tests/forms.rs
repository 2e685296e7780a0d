//! Every form an annotated function can take compiles without a warning and runs.

// The forms are written as in a library, and some take by value what they need not.
#![allow(
    unreachable_pub,
    clippy::needless_pass_by_value,
    clippy::extra_unused_type_parameters
)]

#[path = "forms/free.rs"]
mod free;
#[path = "forms/generic.rs"]
mod generic;
#[path = "forms/invalidating.rs"]
mod invalidating;
#[path = "forms/methods.rs"]
mod methods;

use cache_core::Error;

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(future)
}

#[test]
fn free_functions() -> Result<(), Error> {
    free::main()
}

#[test]
fn generic_functions() -> Result<(), Error> {
    generic::main()
}

#[test]
fn methods_and_traits() -> Result<(), Error> {
    methods::main()
}

#[test]
fn invalidating_functions() -> Result<(), Error> {
    invalidating::main()
}
