//! The program `cache`: what the library knows and does, for people at a terminal and for scripts.
//!
//! It is a part of the library, so that it connects, names keys and reads answers by the same code.
//! Nothing of it is public but [`run`].
//!
//! ```text
//! args               what can be asked for, and the help that teaches it
//! ending             exit codes
//! text  table  out   what is shown, and that nothing shown can steer a terminal
//! typed              that no password is shown which was typed in the wrong place
//! heard  session     a cache and a connection, as the library makes them
//! scan  entry        the keys there are; keys and bytes of an entry
//! stats .. doctor/   one file for each command
//! ```

use std::process::ExitCode;

use clap::Parser;

mod args;
mod doctor;
mod ending;
mod entry;
mod get;
mod heard;
mod invalidate;
mod ls;
mod nodes;
mod out;
mod scan;
mod session;
mod stats;
mod sweep;
mod table;
mod text;
mod top;
mod typed;

use args::{Args, Command};
use ending::{Ending, Trouble};
use out::Out;
use session::Session;

/// Runs the program on the arguments of this process.
pub fn run() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => return ending::of_usage(&error),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let ended = match runtime {
        Ok(runtime) => runtime.block_on(carry_out(args)),
        Err(error) => Err(Trouble::failed(format!("no runtime can be made ({error})"))),
    };
    ending::code(ended)
}

async fn carry_out(args: Args) -> Result<Ending, Trouble> {
    let mut out = Out::new().unread(matches!(
        args.command,
        Command::Invalidate(_) | Command::Nodes(_) | Command::Sweep(_) | Command::Doctor(_)
    ));
    let session = Session::new(args.place)?;
    match args.command {
        Command::Stats(asked) => stats::run(&session, &asked, &mut out).await,
        Command::Top(asked) => top::run(&session, &asked, &mut out).await,
        Command::Ls(asked) => ls::run(&session, &asked, &mut out).await,
        Command::Get(asked) => get::run(&session, &asked, &mut out).await,
        Command::Invalidate(asked) => invalidate::run(&session, &asked, &mut out).await,
        Command::Nodes(asked) => nodes::run(&session, &asked, &mut out).await,
        Command::Sweep(asked) => sweep::run(&session, &asked, &mut out).await,
        Command::Doctor(asked) => doctor::run(&session, &asked, &mut out).await,
    }
}
