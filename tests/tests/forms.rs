//! Every form an annotated function can take compiles without a warning and runs.

// The forms are written as in a library, and some take by value what they need not.
#![allow(
    unreachable_pub,
    clippy::many_single_char_names,
    clippy::needless_pass_by_value,
    clippy::ptr_arg,
    clippy::too_many_arguments,
    clippy::trivially_copy_pass_by_ref,
    clippy::unused_async,
    clippy::unused_self,
    clippy::extra_unused_type_parameters
)]

#[path = "forms/arguments.rs"]
mod arguments;
#[path = "forms/batches.rs"]
mod batches;
#[path = "forms/bodies.rs"]
mod bodies;
#[path = "forms/free.rs"]
mod free;
#[path = "forms/futures.rs"]
mod futures;
#[path = "forms/generic.rs"]
mod generic;
#[path = "forms/invalidating.rs"]
mod invalidating;
#[path = "forms/methods.rs"]
mod methods;
#[path = "forms/options.rs"]
mod options;
#[path = "forms/updating.rs"]
mod updating;
#[path = "forms/warming.rs"]
mod warming;

use std::future::Future;

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

#[test]
fn arguments_of_every_sort() -> Result<(), Error> {
    arguments::main()
}

#[test]
fn bodies_of_every_sort() -> Result<(), Error> {
    bodies::main()
}

#[test]
fn functions_that_return_futures() -> Result<(), Error> {
    futures::main()
}

#[test]
fn every_option() -> Result<(), Error> {
    options::main()
}

#[test]
fn warming_up() {
    warming::main();
}

#[test]
fn batches_of_elements() -> Result<(), Error> {
    batches::main()
}

#[test]
fn functions_that_update() -> Result<(), Error> {
    updating::main()
}
