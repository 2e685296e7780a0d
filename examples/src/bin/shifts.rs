//! The `shifts` service: `cargo run --bin shifts -- --help`.

fn main() -> std::process::ExitCode {
    cache_examples::shifts::main()
}
