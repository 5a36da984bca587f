//! The one main of all programs: arguments, exit codes, closed pipes, generated pages, and the one way to stderr.
//!
//! Standard output carries records only; everything said to people goes through [`Talk`]. A program is a clap struct
//! that holds [`Common`], and a function from it to an [`Exit`]; its `main` is one line: `cli::main(run)`.

mod args;
#[cfg(any(feature = "http", feature = "sim"))]
mod descriptors;
mod input;
#[cfg(feature = "http")]
mod keys;
mod progress;
mod records;
mod refusals;
mod sampling;
mod screen;
#[cfg(feature = "http")]
mod tls;

pub use crate::text::plain;
pub use args::{distinct, duration, duration_in, regex};
#[cfg(any(feature = "http", feature = "sim"))]
pub use descriptors::{allow_many_connections, has_output};
pub use input::Input;
#[cfg(feature = "http")]
pub use keys::{KeyArgs, base_url_of};
pub use progress::{Progress, fitted};
pub use records::{Fold, Records};
pub use refusals::Refusals;
pub use sampling::{Sampling, Stop};
pub use screen::screen_width;
#[cfg(feature = "http")]
pub use tls::TlsArgs;

use clap::{Args, CommandFactory, Parser, ValueEnum};
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// How a program ended, when it could do its work. What it could not do is an error, and exit status 2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// 0: all done.
    Done,
    /// 1: done, but some items failed; the data is on standard output.
    SomeFailed,
    /// 2: what was to be asked was not reached, and that was said.
    Unreached,
    /// 3: a gate of bench-report failed.
    Gate,
}

impl Exit {
    /// Done, or done with `failed` items that failed.
    pub fn of(failed: u64) -> Self {
        if failed == 0 { Exit::Done } else { Exit::SomeFailed }
    }
}

/// The exit statuses, for the long help of every program.
pub const EXIT_STATUS: &str = "\
Exit status:
  0  all done
  1  done, but some items failed; the data is on standard output
  2  could not do it: usage, unreachable, input or output failed";

/// The flags that mean the same in every program.
#[derive(Debug, Clone, Args)]
pub struct Common {
    /// Say nothing but errors
    #[arg(short, long, global = true, help_heading = "Common options")]
    pub quiet: bool,
    /// Say more
    #[arg(short, long, global = true, help_heading = "Common options")]
    pub verbose: bool,
    /// Write to FILE instead of standard output
    #[arg(short, long, alias = "out", global = true, value_name = "FILE", help_heading = "Common options")]
    pub output: Option<PathBuf>,
    /// Stop at the first line that cannot be read, with exit status 2, instead of reporting and skipping it
    #[arg(long, global = true, help_heading = "Common options")]
    pub strict: bool,
    /// Colour and progress on the terminal; NO_COLOR is obeyed
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", help_heading = "Common options")]
    pub color: Color,
    /// Print a man page, a shell completion, or the JSON Schema of the records, and leave
    #[arg(long, global = true, value_name = "WHAT", help_heading = "Common options")]
    pub generate: Option<Generate>,
}

/// When to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// What a program can print of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Generate {
    /// The manual page, in roff.
    Man,
    /// Completion for bash.
    Bash,
    /// Completion for zsh.
    Zsh,
    /// Completion for fish.
    Fish,
    /// JSON Schema of every record.
    Schema,
}

/// The one way to stderr. Copied into whoever must speak; says nothing twice and never a secret, because nobody hands it one.
#[derive(Debug, Clone, Copy)]
pub struct Talk {
    program: &'static str,
    quiet: bool,
    verbose: bool,
    hushed: bool,
}

impl Talk {
    /// The same, saying nothing at all: for what is done over and over and said when it is done for the last time.
    pub fn hushed(self) -> Self {
        Self { hushed: true, ..self }
    }

    /// Something failed, and the user must know: said even when quiet.
    pub fn error(&self, text: impl AsRef<str>) {
        self.say(text.as_ref());
    }

    /// Something is doubtful.
    pub fn warn(&self, text: impl AsRef<str>) {
        if !self.quiet {
            self.say(text.as_ref());
        }
    }

    /// Something of interest to whoever asked for more.
    pub fn note(&self, text: impl AsRef<str>) {
        if self.verbose && !self.quiet {
            self.say(text.as_ref());
        }
    }

    /// Whether progress may be drawn: stderr is a terminal, and nobody asked for quiet.
    pub fn interactive(&self) -> bool {
        !self.quiet && io::stderr().is_terminal()
    }

    /// Whether more was asked for.
    pub fn verbose(&self) -> bool {
        self.verbose && !self.quiet
    }

    fn say(&self, text: &str) {
        if self.hushed {
            return;
        }
        // One write per message, and a stderr that is gone is nobody's failure.
        let line = format!("{}: {}\n", self.program, plain(text));
        let _ = io::stderr().write_all(line.as_bytes());
    }
}

/// Parses, runs, and turns the outcome into an exit status.
pub fn main<A>(run: impl FnOnce(A, Talk) -> anyhow::Result<Exit>) -> ExitCode
where
    A: Parser + CommandFactory + AsRef<Common>,
{
    let program: &'static str = Box::leak(A::command().get_name().to_owned().into_boxed_str());
    let mut talk = Talk { program, quiet: false, verbose: false, hushed: false };
    if let Some(what) = generate_asked() {
        return finish(talk, generate::<A>(what));
    }
    let args = match A::try_parse() {
        Ok(args) => args,
        Err(why) if why.use_stderr() => {
            let text = why.render().to_string();
            let text = text.strip_prefix("error: ").unwrap_or(&text);
            let _ = io::stderr().write_all(format!("{program}: {text}").as_bytes());
            return ExitCode::from(2);
        }
        Err(why) => return finish(talk, why.print().map(|()| Exit::Done).map_err(Into::into)),
    };
    let common = args.as_ref();
    (talk.quiet, talk.verbose) = (common.quiet, common.verbose);
    finish(talk, run(args, talk))
}

fn finish(talk: Talk, outcome: anyhow::Result<Exit>) -> ExitCode {
    match outcome {
        Ok(Exit::Done) => ExitCode::SUCCESS,
        Ok(Exit::SomeFailed) => ExitCode::from(1),
        Ok(Exit::Unreached) => ExitCode::from(2),
        Ok(Exit::Gate) => ExitCode::from(3),
        // Whoever read us has seen enough: that is how pipes end.
        Err(why) if is_closed_pipe(&why) => ExitCode::SUCCESS,
        Err(why) => {
            talk.error(format!("{why:#}"));
            ExitCode::from(2)
        }
    }
}

/// Whether an error is, at its root, a reader that left. Serde's and csv's errors hide the I/O error they wrap from
/// `source`, so they are asked themselves.
pub fn is_closed_pipe(why: &anyhow::Error) -> bool {
    why.chain().any(|cause| {
        let kind = cause
            .downcast_ref::<io::Error>()
            .map(io::Error::kind)
            .or_else(|| cause.downcast_ref::<serde_json::Error>().and_then(serde_json::Error::io_error_kind));
        kind == Some(io::ErrorKind::BrokenPipe)
    })
}

/// What `--generate` asks for, before anything is parsed: it must work without the arguments that are required otherwise.
fn generate_asked() -> Option<Generate> {
    let mut args = std::env::args().skip(1).take_while(|arg| arg != "--");
    while let Some(arg) = args.next() {
        let value = match arg.strip_prefix("--generate") {
            Some("") => args.next(),
            Some(rest) => rest.strip_prefix('=').map(str::to_owned),
            None => None,
        };
        if let Some(value) = value {
            return Generate::from_str(&value, false).ok();
        }
    }
    None
}

fn generate<A: CommandFactory>(what: Generate) -> anyhow::Result<Exit> {
    let mut text = Vec::new();
    let mut complete = |shell: clap_complete::Shell| {
        let mut command = A::command();
        let name = command.get_name().to_owned();
        clap_complete::generate(shell, &mut command, name, &mut text);
    };
    match what {
        Generate::Bash => {
            complete(clap_complete::Shell::Bash);
            text = bash_labels(A::command().get_name(), text);
        }
        Generate::Zsh => complete(clap_complete::Shell::Zsh),
        Generate::Fish => complete(clap_complete::Shell::Fish),
        Generate::Man => clap_mangen::Man::new(A::command()).render(&mut text)?,
        Generate::Schema => {
            text = serde_json::to_vec_pretty(&crate::record::schema::document())?;
            text.push(b'\n');
        }
    }
    io::stdout().write_all(&text)?;
    io::stdout().flush()?;
    Ok(Exit::Done)
}

/// clap_complete reaches the state of a subcommand under one name and looks for it under another, when the program's name
/// has a hyphen: `llm-models lmstudio --<TAB>` would complete nothing.
fn bash_labels(name: &str, script: Vec<u8>) -> Vec<u8> {
    let (wrong, right) = (name.replace('-', "__subcmd__"), name.replace('-', "__"));
    match String::from_utf8(script) {
        Ok(script) => script.replace(&format!("{wrong}__subcmd__"), &format!("{right}__subcmd__")).into_bytes(),
        Err(bytes) => bytes.into_bytes(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn a_closed_pipe_is_found_under_what_was_said_about_it() {
        let io = || io::Error::from(io::ErrorKind::BrokenPipe);
        assert!(is_closed_pipe(&anyhow::Error::from(io()).context("writing")));
        assert!(is_closed_pipe(&anyhow::Error::from(serde_json::Error::io(io()))));
        assert!(!is_closed_pipe(&anyhow::anyhow!("broken pipe")));
        assert!(!is_closed_pipe(&Err::<(), _>(io::Error::other("full")).context("x").unwrap_err()));
    }
}
